#!/usr/bin/env bash
# The commands of docs/howto/own-data.md, in the working directory; what they print goes to
# docs/examples/output: bash docs/examples/own_data.sh (some ten minutes on one core)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
print() { grep -v "^figure\|^page" | sed -E 's/[0-9a-f]{52}([0-9a-f]{12})/...\1/' | tee "$here/output/$1.txt"; }

python -W ignore "$here/emt_runs.py" runs-of-mine
{
  e3dos data import phonopy runs-of-mine -o mine.parquet --source emt --licence CC0-1.0
  e3dos data show mine.parquet
} | print own_data_import
e3dos train fine-tune --data mine.parquet -o runs/mine --members 2
e3dos evaluate -m default -m runs/mine/weights.safetensors --data mine.parquet --split test \
  --page mine.html | grep '^|' | print own_data_evaluate
