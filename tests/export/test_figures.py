"""What figures show: limits, colours, names, bands, parts, layouts."""

from __future__ import annotations

import inspect
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import same_color, to_hex

from ase_e3dos.errors import SpectrumError
from ase_e3dos.export.curves import common_range, curve
from ase_e3dos.export.names import names_of
from ase_e3dos.export.overlays import Overlay, read_overlay
from ase_e3dos.export.plots import plot_spectra, plot_summary
from ase_e3dos.phonon_spectrum import PhononSpectrum, Spectra
from ase_e3dos.spectrum.constants import constants
from ase_e3dos.spectrum.uncertainty import Calibration, Spread
from ase_e3dos.structures.crystal import Crystal


@pytest.fixture
def calibrated(salt) -> PhononSpectrum:
    spread = Spread(0.05, 0.0, (0.5, 0.9), (1.0, 2.0), 100, 0.01)
    salt.calibration = Calibration(
        {"density": {0.0: spread}, "heat_capacity": {100.0: spread, 300.0: spread}}
    )
    return salt


@pytest.fixture
def hydride(salt) -> PhononSpectrum:
    """A fifth of the modes far above all others, and a little noise between."""
    x = salt.wavenumbers
    y = np.exp(-(((x - 200) / 60) ** 2)) + 0.3 * np.exp(-(((x - 3600) / 50) ** 2)) + 1e-4 * (x > 0)
    return PhononSpectrum(x, np.where(x > 0, y, 0.0), crystal=salt.crystal, model="made up")


def drawn(ax) -> list[float]:
    ax.figure.canvas.draw()
    return [*ax.get_xlim(), *ax.get_ylim()]


def test_axes_hold_all_that_is_drawn_on_them(salt, copper):
    """Whatever comes first: no curve is cut off, and each has its colour."""
    for spectra in ((salt, copper), (copper, salt)):
        _, ax = plt.subplots()
        for spectrum in spectra:
            spectrum.plot(ax)
        left, right, _, top = drawn(ax)
        for spectrum, line in zip(spectra, ax.lines, strict=True):
            shown = curve(spectrum)
            np.testing.assert_allclose(line.get_ydata(), shown.y)
            assert left <= shown.x[0] < shown.x[-1] <= right
            assert max(shown.y.max(), 0 if shown.high is None else shown.high.max()) <= top
        assert len({line.get_color() for line in ax.lines}) == 2
        plt.close()


def test_what_the_user_set_on_axes_stays(salt, copper):
    _, ax = plt.subplots()
    ax.set(xlim=(1, 4), ylim=(0, 7), xlabel="mine", ylabel="mine too", title="title")
    salt.plot(ax)
    plot_spectra([salt, copper], ax)
    assert drawn(ax) == [1, 4, 0, 7]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("mine", "mine too", "title")
    assert ax.get_legend() is None
    plt.close()


def test_bands_are_the_calibrated_level_and_named(calibrated, unstable):
    shown = curve(calibrated, band=0.9)
    low, high = calibrated.interval("density", 0.9)
    x = calibrated.frequencies
    inner = (shown.x > 1) & (shown.x < 6)
    np.testing.assert_allclose(shown.high[inner], np.interp(shown.x, x, high)[inner], rtol=2e-3)
    np.testing.assert_allclose(shown.low[inner], np.interp(shown.x, x, low)[inner], atol=2e-3)
    assert shown.band == "90 % interval"
    assert curve(calibrated, band=0.5).band == "50 % interval"
    calibrated.calibration = None
    assert "not calibrated" in curve(calibrated).band
    assert curve(unstable).low is None


def test_legend_names_the_band_once_and_covers_no_curve(calibrated, copper):
    figure = plot_summary([calibrated, copper], band=0.9)
    figure.canvas.draw()
    (legend,) = figure.legends
    texts = [t.get_text() for t in legend.get_texts()]
    assert texts == ["NaCl", "Cu", "90 % interval"]
    assert same_color(legend.legend_handles[-1].get_facecolor()[:3], "0.5")  # of two colours
    (alone,) = plot_summary(calibrated).legends
    band = plot_summary(calibrated).axes[0].collections[0].get_facecolor()[0]
    assert same_color(alone.legend_handles[-1].get_facecolor(), band)
    box = legend.get_window_extent()
    assert not any(box.overlaps(ax.get_window_extent()) for ax in figure.axes)


def test_bands_are_named_once_on_axes_of_any_kind(calibrated):
    """On a user's own, too, and by `Spectra.plot`."""
    _, ax = plt.subplots()
    calibrated.plot(ax, label="a")
    calibrated.plot(ax, label="b")
    assert ax.get_legend_handles_labels()[1] == ["a", "90 % interval", "b"]
    texts = Spectra([calibrated] * 3).plot().get_legend().get_texts()
    assert [t.get_text() for t in texts].count("90 % interval") == 1
    smooth = calibrated.plot(smoothing=15).get_legend().get_texts()
    assert "90 % interval of each bin, smoothed" in [t.get_text() for t in smooth]
    plt.close("all")


def test_names_on_axes_of_the_user_are_told_apart(salt, copper):
    """As they are drawn one by one; names that the user gave or changed stay."""
    files = ("in/one.cif", "in/two.cif", "in/two.cif")
    a, b, c = (
        PhononSpectrum(s.wavenumbers, s.density, crystal=Crystal.from_any(salt.crystal, file))
        for s, file in zip((salt, salt, salt), files, strict=True)
    )
    for kind in ("plot", "plot_thermal"):
        _, ax = plt.subplots()
        for spectrum in (a.per_atom(), copper.per_atom(), b.per_atom()):
            getattr(spectrum, kind)(ax)
        assert ax.get_legend_handles_labels()[1] == ["NaCl, one", "Cu", "NaCl, two"]
        ax.lines[0].set_label("mine")
        getattr(c.per_atom(), kind)(ax)
        getattr(c.per_atom(), kind)(ax, label="NaCl")
        last = ["NaCl #1", "NaCl #2", "NaCl"]  # both of one file
        assert ax.get_legend_handles_labels()[1] == ["mine", "Cu", *last]
    _, ax = plt.subplots()
    a.plot(ax, smoothing=10)
    b.plot(ax)
    assert ax.get_legend_handles_labels()[1] == ["NaCl, one", "NaCl, two (not smoothed)"]
    _, ax = plt.subplots()
    Spectra([a, copper]).plot(ax)
    b.per_atom().plot(ax)
    assert ax.get_legend_handles_labels()[1] == ["NaCl, one", "Cu", "NaCl, two"]
    plt.close("all")


def test_names_of_a_waterfall_lie_inside_axes_of_the_user(salt, copper, hydride):
    """At the right of the curves, unless the user set the limits, which stay."""
    crystal = Crystal.from_any(salt.crystal, "a_rather_long_name_of_a_file.cif")
    long = PhononSpectrum(salt.wavenumbers, salt.density, crystal=crystal)
    for spectra, size in (([salt, copper, long], (4, 3)), ([salt, copper, hydride], (3.4, 2.4))):
        figure, (_, ax) = plt.subplots(1, 2, figsize=(2 * size[0], size[1]))
        plot_spectra(spectra, ax, waterfall=True)
        figure.draw_without_rendering()
        frame = ax.get_window_extent()
        names = [t for t in ax.texts if "%" not in t.get_text()]
        assert len(names) == 3
        for name in names:
            box = name.get_window_extent()
            assert frame.x0 < box.x0 < box.x1 < frame.x1, name.get_text()
            assert frame.y0 <= box.y0 < box.y1 <= frame.y1
            for line in ax.lines:
                if len(line.get_xdata()) > 2:
                    seen = ax.transData.transform(line.get_xydata())
                    above = seen[seen[:, 1] > box.y0 + 1]  # than the line at its foot
                    assert not box.count_contains(above), name.get_text()
    _, mine = plt.subplots()
    mine.set_xlim(0, 6)
    Spectra([salt, long]).plot(mine, waterfall=True)
    assert mine.get_xlim() == (0, 6)
    plt.close("all")


def test_axes_hold_one_unit(salt, copper):
    _, ax = plt.subplots()
    salt.per_atom().plot(ax)
    for other, options in ((copper.per_atom(), {"units": "meV"}), (copper, {})):
        with pytest.raises(SpectrumError, match="hold curves in THz per atom"):
            other.plot(ax, **options)
    with pytest.raises(SpectrumError, match="axes of their own"):
        salt.per_atom().plot_thermal(ax)
    salt.per_atom().plot_thermal(ax.twinx().twiny())
    ax.clear()
    copper.plot(ax, units="meV")
    plt.close("all")


def test_smoothing_is_off_or_said(salt):
    np.testing.assert_allclose(salt.plot().lines[0].get_ydata().max(), curve(salt).y.max())
    assert "smoothed" not in salt.plot().get_ylabel()
    assert "smoothed by 20" in salt.plot(smoothing=20).get_ylabel()
    plt.close("all")


def test_smoothing_is_said_on_axes_of_the_user_too(salt, copper):
    """Whose label says nothing of it, or holds for another curve."""
    other = Overlay("DFT", copper.frequencies, copper.density)
    _, ax = plt.subplots()
    ax.set_ylabel("mine")
    salt.plot(ax, smoothing=20, overlays=[other])
    assert "NaCl (smoothed by 20 cm$^{-1}$)" in ax.get_legend_handles_labels()[1]
    _, ax = plt.subplots()
    salt.plot(ax, smoothing=20)
    salt.plot(ax, label="raw")
    salt.plot(ax, label="b", smoothing=5)
    said = ["NaCl", "raw (not smoothed)", "b (smoothed by 5 cm$^{-1}$)"]
    assert [line.get_label() for line in ax.lines] == said
    x, y = other.scaled(3.0, "cm-1", smoothing=10)
    raw_x, raw_y = other.scaled(3.0, "cm-1")
    mean, raw_mean = np.trapezoid(x * y, x) / 3, np.trapezoid(raw_x * raw_y, raw_x) / 3
    spread = np.trapezoid((x - mean) ** 2 * y, x) / 3
    raw_spread = np.trapezoid((raw_x - raw_mean) ** 2 * raw_y, raw_x) / 3
    assert (np.trapezoid(y, x), mean) == pytest.approx((3, raw_mean), rel=1e-3)
    assert spread - raw_spread == pytest.approx(10**2, rel=0.02)  # variances add up
    plt.close("all")


def test_overlays_of_one_name_are_told_apart(salt, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder / "run").mkdir(parents=True)
        salt.write(tmp_path / folder / "run" / "total_dos.dat")
    files = [tmp_path / f / "run" / "total_dos.dat" for f in ("a", "b", "b")]
    ax = salt.plot(overlays=[read_overlay(file) for file in files])
    names = [line.get_label() for line in ax.lines[1:4]]
    assert names == [f"{n} (same area)" for n in ("a/run/total_dos.dat",
                     "b/run/total_dos.dat #1", "b/run/total_dos.dat #2")]  # fmt: skip
    assert len({str(line._dash_pattern) for line in ax.lines[1:4]}) == 3
    texts = (
        plot_summary(salt, overlays=[Overlay("DFT", np.arange(3.0), np.ones(3))] * 2)
        .legends[0]
        .get_texts()
    )
    assert {"DFT #1 (same area)", "DFT #2 (same area)"} <= {t.get_text() for t in texts}
    plt.close("all")


def test_one_molecule_does_not_stretch_the_axis_for_all(salt, copper, hydride):
    alone = common_range([curve(hydride)])
    assert alone[1] > 100
    curves = [curve(s) for s in (salt, copper, hydride)]
    _, high = common_range(curves)
    assert high < 20
    for c in curves[:2]:
        assert np.trapezoid(c.y * (c.x > high), c.x) < 2e-3 * c.n_modes
    ax = plot_summary([salt, copper, hydride]).axes[0]
    said = " ".join(t.get_text() for t in ax.texts)
    share = 0.3 * 50 / (0.3 * 50 + 60)
    assert f"{100 * share:.0f} % of the modes" in said


def test_two_with_a_hydride_share_its_lower_range(salt, hydride):
    """However few the others are, in every layout; modes of all remain in the range."""
    _, high = common_range([curve(salt), curve(hydride)])
    assert high < 20
    for layout in ("overlay", "waterfall", "grid"):
        figure = plot_summary([salt, hydride], layout=layout, panels=["dos"])
        said = " ".join(t.get_text() for ax in figure.axes for t in ax.texts)
        assert "20 %" in said, layout
        assert figure.axes[0].get_xlim()[1] < 20
    _, high = common_range([curve(hydride), curve(hydride)])
    assert high > 100  # no others that these would press together


def test_more_sites_than_can_be_told_apart_are_drawn_by_element(salt):
    cell = salt.crystal.to_atoms().repeat((3, 2, 2))
    rows = np.repeat(salt.site_density, 12, axis=0)
    big = PhononSpectrum(salt.wavenumbers, site_density=rows, crystal=Crystal.from_any(cell))
    figure = plot_summary(big, projection="site")
    (legend,) = figure.legends
    texts = [t.get_text() for t in legend.get_texts()]
    assert texts == ["NaCl (24 sites, by element)", "Na, Cl (each)"]
    assert len(curve(big, projection="site", most_sites=24).parts) == 24
    each = [
        PhononSpectrum(salt.wavenumbers, np.roll(salt.density, k), crystal=salt.crystal)
        for k in range(40)
    ]
    many = plot_summary(each, layout="overlay", labels=[str(k) for k in range(40)])
    texts = [t.get_text() for t in many.legends[0].get_texts()]
    assert "and 16 more" in texts
    looks = {(line.get_color(), str(line._dash_pattern)) for line in many.axes[0].lines[:20]}
    assert len(looks) == 20


def enlarged(salt, n: int) -> PhononSpectrum:
    """A row of n / 2 cells, each site with a density of its own."""
    cell = salt.crystal.to_atoms().repeat((n // 2, 1, 1))
    rows = np.array([np.roll(salt.site_density[0], k) for k in range(n)])
    members = np.array([0.9 * rows.sum(0), 1.1 * rows.sum(0)])
    return PhononSpectrum(
        salt.wavenumbers, site_density=rows, members=members, crystal=Crystal.from_any(cell)
    )


@pytest.mark.parametrize("n", [8, 12])
def test_stacked_sites_of_a_second_round_keep_their_names(salt, n):
    """Whatever looks like a band to the eye: only intervals are intervals in the legend."""
    figure = plot_summary(enlarged(salt, n), projection="site", stacked=True)
    (legend,) = figure.legends
    entries = dict(
        zip([t.get_text() for t in legend.get_texts()], legend.legend_handles, strict=True)
    )
    sites = [entries[name] for name in entries if re.fullmatch(r"(Na|Cl) \d+", name)]
    looks = {(e.get_facecolor(), e.get_hatch()) for e in sites}
    assert len(looks) == len(sites) == n
    assert len(entries) == n + 2  # the total, the interval


def test_lines_on_one_another_are_one_with_all_names(salt):
    shown = enlarged(salt, 4)
    rows = shown.site_density.copy()
    rows[3] = rows[1]
    shown = PhononSpectrum(shown.wavenumbers, site_density=rows, crystal=shown.crystal)
    names = [line.get_label() for line in shown.plot(projection="site").lines]
    assert names[1:4] == ["Na 0", "Cl 1, Cl 3 (each)", "Na 2"]
    stacked = shown.plot(projection="site", stacked=True)
    assert [c.get_label() for c in stacked.collections] == ["Na 0", "Cl 1", "Na 2", "Cl 3"]
    plt.close("all")


def test_spectra_on_one_another_are_one_with_all_names(salt, copper, hydride):
    """In the legends of figures, whose values per atom stay those of one."""
    lone = salt.per_atom()
    for figure in (
        plot_summary([salt, salt], labels=["SiO2", "TiO2"]),
        plot_spectra([salt, lone], labels=["SiO2", "TiO2"]).figure,
    ):
        ax = figure.axes[0]
        (legend,) = figure.legends or [ax.get_legend()]
        texts = [t.get_text() for t in legend.get_texts()]
        assert texts[0] == "SiO$_{2}$ and TiO$_{2}$ (each)"
        assert not any("TiO" in text for text in texts[1:])
        np.testing.assert_allclose(ax.lines[0].get_ydata(), curve(lone).y)
    heat = plot_summary([salt, salt]).axes[1].lines[0].get_ydata()[-1]
    assert heat == pytest.approx(lone.heat_capacity(1000.0))
    ax = plot_summary([salt, copper, *[salt] * 4, hydride], layout="overlay").axes[0]
    names = ["NaCl #1 and 4 more (each)", "Cu", "NaCl #6"]
    assert [line.get_label() for line in ax.lines[:3]] == names
    waterfall = plot_summary([salt, salt], layout="waterfall", panels=["dos"]).axes[0]
    assert [t.get_text() for t in waterfall.texts] == ["NaCl #1", "NaCl #2"]
    plt.close("all")


def test_parts_of_several_stand_side_by_side_or_are_refused(salt, copper, unstable):
    for options in ({"projection": "site"}, {"stacked": True}):
        figure = plot_summary([salt, enlarged(salt, 4)], **options)
        cells = [ax for ax in figure.axes if ax.lines]
        assert len(cells) == 2
        for ax in cells:
            said = {t.get_text().partition(" ")[0] for t in ax.texts}
            assert {"Na", "Cl"} <= said
        for layout in ("overlay", "waterfall"):
            with pytest.raises(SpectrumError, match="could not be told apart"):
                plot_summary([salt, copper], layout=layout, **options)
    with pytest.raises(SpectrumError, match="no site densities"):
        plot_summary([salt, unstable], stacked=True)
    with pytest.raises(SpectrumError, match="no parts to stack"):
        salt.plot(stacked=True)
    with pytest.raises(SpectrumError, match="each once"):
        plot_summary(salt, panels=["dos", "dos"])
    with pytest.raises(SpectrumError, match="Add 'dos'"):
        plot_summary(salt, panels=["entropy"], projection="element")


def test_notes_lie_on_no_curve(salt, copper, hydride):
    """Where curves are high at the right, the axes grow above them."""
    high = PhononSpectrum(copper.wavenumbers, copper.density[::-1], crystal=copper.crystal)
    figure = plot_summary([high, hydride], panels=["dos"])
    (ax,) = figure.axes
    figure.draw_without_rendering()
    (note,) = ax.texts
    box = note.get_window_extent()
    for line in ax.lines[:2]:
        assert not box.count_contains(ax.transData.transform(line.get_xydata()))
    other = Overlay("DFT", copper.frequencies, copper.density)
    figure = plot_summary([high, hydride], panels=["dos"], overlays=[other])
    assert figure.axes[0].get_xlim()[1] < 20  # which an overlay does not undo
    _, mine = plt.subplots()
    mine.set_ylim(0, 0.1)
    plot_spectra([high, hydride], mine)
    assert mine.get_ylim() == (0, 0.1)
    plt.close("all")


def test_parts_sum_to_the_total_in_every_projection(salt):
    for projection in ("element", "site", "species", {"both": [0, 1]}):
        shown = curve(salt, projection=projection)
        np.testing.assert_allclose(sum(row for _, row in shown.parts), shown.y, rtol=1e-6)
    assert [n for n, _ in curve(salt, projection="site").parts] == ["Na 0", "Cl 1"]
    stacked = salt.plot(projection="element", stacked=True)
    tops = [p.get_paths()[0].vertices[:, 1].max() for p in stacked.collections[-2:]]
    assert tops[-1] == pytest.approx(curve(salt).y.max())
    plt.close("all")
    with pytest.raises(SpectrumError, match="sites from 0 to 1"):
        salt.plot(projection={"none": [2]})


def test_names_repeat_no_more(salt):
    def named(*names):
        crystals = [Crystal.from_any(salt.crystal, name) for name in names]
        return names_of(
            [PhononSpectrum(salt.wavenumbers, salt.density, crystal=c) for c in crystals]
        )

    assert named("a/one.cif", "b/two.cif") == ["NaCl, one", "NaCl, two"]
    assert named("all.extxyz[0]", "all.extxyz[1]") == ["NaCl, all[0]", "NaCl, all[1]"]
    assert named("a/POSCAR", "b/POSCAR") == ["NaCl, a/POSCAR", "NaCl, b/POSCAR"]
    assert named("POSCAR", "POSCAR") == ["NaCl #1", "NaCl #2"]
    assert named("a/r/POSCAR", "b/r/POSCAR") == ["NaCl, a/r/POSCAR", "NaCl, b/r/POSCAR"]
    assert named("NaCl.cif", "NaCl.vasp") == ["NaCl.cif", "NaCl.vasp"]
    assert named("x.cif") == ["NaCl"]


@pytest.mark.parametrize("style", ["publication", "phonopy"])
@pytest.mark.parametrize("n", [2, 5])
def test_label_of_a_grid_lies_inside_the_figure(salt, style, n):
    """Below the legend, and beside all panels, however few rows and however long the label."""
    spectra = [salt] * n
    for options in (
        {"layout": "grid", "units": "meV"},
        {"projection": "species", "stacked": True, "units": "cm-1", "smoothing": 12.5},
        {"projection": "element", "panels": ["dos"], "units": "cm-1"},
        {"layout": "grid", "panels": ["heat_capacity"]},
    ):
        figure = plot_summary(spectra, style=style, **options)
        figure.draw_without_rendering()
        label = figure._supylabel
        box = label.get_window_extent()
        assert 0 <= box.y0 < box.y1 <= figure.bbox.height, label.get_text()
        assert box.x0 >= 0
        others = [*figure.legends, *(ax for ax in figure.axes if ax.axison)]
        assert not any(box.overlaps(other.get_window_extent()) for other in others)


def test_panels_asked_for_are_a_row_in_a_grid(salt, copper):
    """The default is one panel each; the same panels by name are drawn, all of them."""
    asked = {"projection": "element"}
    assert len(plot_summary([salt, salt], **asked).axes) == 2
    rows = plot_summary([salt, salt], panels=["dos", "heat_capacity"], **asked).axes
    assert ["$C_V$" in ax.get_ylabel() for ax in rows] == [False, True] * 2
    red = plot_summary([salt, copper], panels=["dos", "entropy"], layout="grid", style="phonopy")
    colours = {to_hex(line.get_color()) for ax in red.axes for line in ax.lines[:1]}
    assert colours == {"#ff0000"}  # of the style, though the figure is written outside of it


def test_beyond_a_few_each_has_its_panel(salt, copper):
    figure = plot_summary([salt, copper] * 4)
    assert len([ax for ax in figure.axes if ax.lines]) == 8
    assert len(plot_summary([salt, copper] * 2).axes) == 2
    panels = ["dos", "entropy", "heat_capacity"]
    rows = plot_summary([salt, copper] * 4, panels=panels, style="dark")
    assert [len(ax.lines) > 0 for ax in rows.axes] == [True] * 24
    assert "$S$" in rows.axes[1].get_ylabel()
    heat = plot_summary([salt, copper] * 4, panels=["heat_capacity"], temperatures=[10.0, 50.0])
    shown = [ax.lines[0].get_ydata() for ax in heat.axes if ax.lines]
    np.testing.assert_allclose(shown[1], copper.per_atom().heat_capacity([10.0, 50.0]))
    ax = plot_summary([salt, copper] * 2, layout="waterfall", panels=["dos"]).axes[0]
    bottoms = [line.get_ydata().min() for line in ax.lines if len(line.get_xdata()) > 2]
    assert bottoms[0] < bottoms[1] < bottoms[2] < bottoms[3]
    for layout in ("heap", ""):
        with pytest.raises(SpectrumError, match="layout"):
            plot_summary([salt], layout=layout)
    with pytest.raises(SpectrumError, match="no style"):
        plot_summary([salt], style="nobody")


@pytest.mark.parametrize(("units", "factor"), [("meV", 10.364269), ("eV", 0.010364269)])
def test_thermal_panels_in_units_of_choice(salt, units, factor):
    panels = ["dos", "heat_capacity", "entropy", "free_energy", "internal_energy"]
    figure = plot_summary(salt, panels=panels, energy_units=units, units="meV")
    labels = [ax.get_ylabel() for ax in figure.axes[:5]]
    assert f"$F$ ({units} per cell)" in labels
    assert f"$S$ ({units}/K per cell)" in labels
    ends = [ax.lines[0].get_ydata()[-1] for ax in figure.axes[1:5]]
    ours = (salt.heat_capacity(1000.0) / 1000, salt.entropy(1000.0) / 1000,
            salt.free_energy(1000.0), salt.internal_energy(1000.0))  # fmt: skip
    np.testing.assert_allclose(ends, np.array(ours) * factor, rtol=1e-5)


def test_errors_of_a_measurement_are_no_sites(tmp_path):
    """Three columns are energy, intensity and error, unless a file of phonopy has them."""
    energy = np.linspace(1, 60, 60)
    intensity = np.exp(-(((energy - 30) / 8) ** 2))
    rows = np.column_stack([energy, intensity, np.full(60, 0.25)])
    np.savetxt(tmp_path / "measured.dat", rows, header="energy (meV)  intensity  error")
    np.testing.assert_allclose(read_overlay(tmp_path / "measured.dat").density, intensity)
    np.savetxt(tmp_path / "projected_dos.dat", rows, header="Tetrahedron method")
    summed = read_overlay(tmp_path / "projected_dos.dat").density
    np.testing.assert_allclose(summed, intensity + 0.25)


def test_spectra_of_others_lie_over_ours(salt, copper, tmp_path):
    copper.write(tmp_path / "total_dos.dat")
    copper.write(tmp_path / "copper.json")
    (tmp_path / "measured.csv").write_text(
        "energy (meV), intensity\n" + "".join(f"{k}, {k * (9 - k)}\n" for k in range(1, 9))
    )
    shown = curve(copper)
    for name in ("total_dos.dat", "copper.json"):
        x, y = read_overlay(tmp_path / name).scaled(copper.n_modes, "THz")
        np.testing.assert_allclose(np.interp(shown.x[5:-5], x, y), shown.y[5:-5], rtol=0.02,
                                   atol=0.02 * y.max())  # fmt: skip
    measured = read_overlay(tmp_path / "measured.csv")
    x, y = measured.scaled(6.0, "meV")
    assert x[0] == pytest.approx(1.0)
    assert np.trapezoid(y, x) == pytest.approx(6.0)
    ax = salt.plot(overlays=(measured,))
    assert "measured (same area)" in ax.get_legend_handles_labels()[1]
    plt.close("all")


def test_completion_shows_what_can_be_chosen():
    for method in (
        PhononSpectrum.plot,
        Spectra.plot,
        PhononSpectrum.show,
        PhononSpectrum.plot_thermal,
    ):
        kinds = {p.kind for p in inspect.signature(method).parameters.values()}
        assert inspect.Parameter.VAR_KEYWORD not in kinds
    assert {"units", "projection"} <= set(inspect.signature(PhononSpectrum.plot).parameters)
    assert "temperatures" in inspect.signature(PhononSpectrum.plot_thermal).parameters


def test_thermal_bands_are_the_interval_at_every_temperature(salt):
    """Narrow low down, within 0 and 3R per atom everywhere."""
    spread = Spread(1.0, 0.0, (0.5, 0.9), (1.0, 2.0), 100, 0.01)
    salt.calibration = Calibration({"heat_capacity": {25.0: spread, 300.0: spread}})
    salt = salt.per_atom()
    ax = salt.plot_thermal()
    t = ax.lines[0].get_xdata()
    shape = ax.collections[0].get_paths()[0].vertices
    for kelvin in (t[5], t[9], t[-1]):
        low, high = salt.interval("heat_capacity", 0.9, float(kelvin))
        at = shape[np.isclose(shape[:, 0], kelvin), 1]
        assert (at.min(), at.max()) == pytest.approx((low, high))
    assert shape[:, 1].min() >= 0
    assert shape[:, 1].max() <= 3 * constants().gas_constant + 1e-9
    plt.close("all")


def test_temperatures_of_the_table_are_only_the_range_of_the_figure(salt, tmp_path, monkeypatch):
    from ase_e3dos.cli import prediction_figure

    kept = []
    monkeypatch.setattr(prediction_figure, "write_figure", lambda path, figure: kept.append(figure))
    options = (tmp_path / "a.png", "THz", ["heat_capacity"], "none", False, "auto", [], 0.0,
               "publication", "kJ/mol", [500.0, 10.0, 300.0])  # fmt: skip
    prediction_figure.Drawing(*options).write([salt])
    t, values = kept[0].axes[0].lines[0].get_data()
    assert (t[0], t[-1]) == (10.0, 500.0)
    assert len(t) > 50
    np.testing.assert_allclose(values, salt.heat_capacity(t))


def test_what_cannot_be_drawn_is_an_error_of_ours(salt):
    for temperatures in ([], [300.0, 100.0], [[1.0, 2.0], [3.0, 4.0]]):
        with pytest.raises(SpectrumError, match="ascending"):
            salt.plot_thermal(temperatures=temperatures)
        with pytest.raises(SpectrumError, match="ascending"):
            plot_summary(salt, temperatures=temperatures)
    with pytest.raises(SpectrumError, match="width"):
        salt.plot(smoothing="a")
    plt.close("all")
    with pytest.raises(SpectrumError, match="Only spectra"):
        plot_summary([salt, SpectrumError("it failed")])


def test_overlays_are_read_in_the_unit_that_their_file_names(salt, tmp_path):
    x = salt.wavenumbers[salt.density > 0]
    table = np.c_[x, np.exp(-(((x - 200) / 50) ** 2))]
    file = tmp_path / "a.dat"
    np.savetxt(file, table, header="wavenumber (cm-1), DoS")
    np.testing.assert_allclose(read_overlay(file).frequencies * constants().thz_to_cm, x)
    np.savetxt(file, table)
    with pytest.raises(SpectrumError, match="name no unit, and 3275"):
        read_overlay(file)
    with pytest.raises(SpectrumError, match="waterfall of several"):
        plot_summary([salt, salt], layout="waterfall", overlays=[read_overlay(file, "cm-1")])
    np.savetxt(file, table, header="energy,dos", comments="", delimiter=",")
    np.testing.assert_allclose(read_overlay(file, "cm-1").frequencies * constants().thz_to_cm, x)
    salt.write(tmp_path / "dos.csv")
    own = read_overlay(tmp_path / "dos.csv")
    peak = own.frequencies[np.argmax(own.density)]
    assert peak == pytest.approx(salt.frequencies[np.argmax(salt.density)], abs=0.1)
