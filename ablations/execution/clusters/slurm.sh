#!/bin/bash
# A study on the nodes of a Slurm job, a Ray node each:
#     sbatch --nodes 25 --gpus-per-node 8 --cpus-per-task 64 slurm.sh --grid one_out --seeds 100 --name mine
# The words behind the script are those of python -m ablations.run. The same job again goes on where it was.
# SHARED is a folder that all nodes see, and VENV the environment in it; see README.md beside this.
#SBATCH --job-name=ablations
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@300
#SBATCH --requeue
set -euo pipefail

shared=${SHARED:?names a folder that all nodes see}
bin=${VENV:-$shared/ablations/.venv}/bin
port=${RAY_PORT:-6379}
nodes=$SLURM_JOB_NUM_NODES
names=$(scontrol show hostnames "$SLURM_JOB_NODELIST")  # `| head -n 1` could end scontrol by SIGPIPE, and with it this script
head=${names%%$'\n'*}  # the first, where this script runs, too
# Of this job alone: without it no one joins, or runs code.
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0

start=("$bin/ray" start --block --num-cpus "${SLURM_CPUS_PER_TASK:-1}")
srun --nodes=1 --ntasks=1 --overlap --nodelist="$head" \
    "${start[@]}" --head --port="$port" --include-dashboard=false &
ray=$!
trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT
until (exec 3<>"/dev/tcp/$head/$port") 2>/dev/null; do
    kill -0 "$ray"  # ends the script where Ray has
    sleep 1
done
if [ "$nodes" -gt 1 ]; then
    srun --nodes=$((nodes - 1)) --ntasks=$((nodes - 1)) --overlap --exclude="$head" \
        "${start[@]}" --address="$head:$port" &
fi
# How many trials run side by side is counted when the command begins: first, all nodes are there.
timeout 900 "$bin/python" - "$head:$port" "$nodes" <<'WAIT'
import sys, time, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
while sum(node["Alive"] for node in ray.nodes()) < int(sys.argv[2]):
    time.sleep(1)
WAIT

"$bin/python" -m ablations.run "$@" --ray-address "$head:$port" --results "$shared/results" --reports "$shared/reports" &
study=$!
trap 'kill -TERM $study' TERM  # five minutes before the job's end: the study stops between two steps
code=0
wait "$study" || code=$?
if kill -0 "$study" 2>/dev/null; then code=0; wait "$study" || code=$?; fi  # a signal ends the first wait only
exit "$code"
