#!/usr/bin/env bash
# Every check and every table that needs a card, in one go: under ten minutes. Stops at nothing; what
# failed is said at the end, and is the exit status. Results land in the folder given, or gpu_results.
#
#     benchmarks/gpu_all.sh [FOLDER]
#
# It installs nothing: torch for CUDA, triton, numpy and pytest must be there.
cd "$(dirname "$0")/.." || exit 1
results=${1:-gpu_results}
mkdir -p "$results"
results=$(cd "$results" && pwd)
export PYTHONPATH="sdk:kernels:engine_bridge${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONDONTWRITEBYTECODE=1
python=${PYTHON:-python3}
failed=()

# run NAME SECONDS COMMAND...: shows and keeps what COMMAND says.
run() {
    local name=$1 limit=$2 begin=$SECONDS status
    shift 2
    echo "=== $name: $*"
    timeout "$limit" "$@" >"$results/$name.txt" 2>&1
    status=$?
    tail -n 120 "$results/$name.txt"
    echo "=== $name: status $status, $((SECONDS - begin)) s"
    [ "$status" = 0 ] || failed+=("$name ($status)")
}

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv || true

# Compiling takes most of the time of these, each on a core of its own.
behind=()
beside() {
    local name=$1
    shift
    timeout 300 "$@" >"$results/$name.txt" 2>&1 &
    behind+=("$name $!")
}
# Another torch or Python than the pinned one may warn, which is no failure of a kernel.
tests=("$python" -W default -m pytest -q -W default -p no:cacheprovider)
beside tests_of_chunks "${tests[@]}" tests/test_kernels_values.py -k "a_chunk"
beside tests_of_conditioning "${tests[@]}" tests/test_kernels_values.py -k "conditioning"
beside other_tests "${tests[@]}" tests/test_kernels_values.py tests/test_kernels_choice.py \
    tests/test_attention.py -k "not a_chunk and not conditioning and not interpreter"
beside compiled "$python" -m diegetic_kernels.compiled.report
for job in "${behind[@]}"; do
    name=${job% *}
    wait "${job##* }" || failed+=("$name")
    echo "=== $name"
    tail -n 60 "$results/$name.txt"
done
echo "=== checked after $SECONDS s"

run tune 300 "$python" -m diegetic_kernels.tune
cp kernels/diegetic_kernels/table.json "$results/table.json"
run attention 150 "$python" benchmarks/attention.py --json "$results/attention.json"
run sessions 200 "${tests[@]}" tests/test_slots_cuda.py tests/test_slots_kernels.py \
    -k "not interpreter"
# Torch's kernels and ours, in the same run.
run chunk 250 "$python" benchmarks/chunk.py --seconds 0.5 --json "$results/chunk.json"

echo
if [ ${#failed[@]} = 0 ]; then
    echo "all of it ran, in $SECONDS s; results in $results"
else
    echo "after $SECONDS s failed: ${failed[*]}; results in $results"
    exit 1
fi
