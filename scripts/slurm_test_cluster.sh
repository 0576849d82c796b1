#!/usr/bin/env bash
# Runs a command inside a Slurm cluster of two nodes made of this machine: munged, slurmctld and two
# slurmd with ports, keys, spool and state of their own, all in a temporary folder. They end, and the
# folder goes, when the command ends. A Slurm that this machine belongs to is not touched.
#
#   scripts/slurm_test_cluster.sh [-l] -- COMMAND [ARGUMENT...]
#
#   -l  say why it cannot be done here and exit with 77 instead of running (0: it can be done)
#
# COMMAND finds salloc, srun, sbatch, … working: SLURM_CONF names the cluster, whose nodes are node1
# and node2, each with all of this machine's cores, or two.
# Exit code: COMMAND's; 77 where Slurm is not installed or the user's rights forbid it; 1 where the
# cluster does not come up; 2 for a wrong call.
set -uo pipefail

usage() { sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//' >&2; exit 2; }
only_ask=0
while (($# > 0)); do
  case $1 in
    -l) only_ask=1; shift ;;
    --) shift; break ;;
    *) printf 'slurm_test_cluster: unknown argument %s\n' "$1" >&2; usage ;;
  esac
done
((only_ask == 1 || $# > 0)) || usage

cannot() { printf 'slurm_test_cluster: cannot be done here: %s\n' "$*" >&2; exit 77; }
PATH=$PATH:/usr/sbin:/sbin
missing=''
for program in munged slurmctld slurmd sinfo srun sbatch salloc; do
  command -v "$program" >/dev/null || missing+=" $program"
done
[[ -z $missing ]] ||
  cannot "not installed:$missing (Debian packages slurmctld, slurmd, slurm-client, munge)"
command -v python3 >/dev/null || cannot 'not installed: python3'
((EUID == 0)) || cannot 'slurmd needs root'
if ((only_ask == 1)); then exit 0; fi

work=$(mktemp -d "${TMPDIR:-/tmp}/soapstone-slurm-XXXXXX")
chmod 711 "$work"
daemons=()
command=''
cleanup() {
  local i pid waited
  kill ${command:+"$command"} 2>/dev/null
  # Jobs first: their processes are no children of this script.
  if ((${#daemons[@]} > 1)); then
    timeout 5 scancel --user "$(id -un)" >/dev/null 2>&1
    for ((waited = 0; waited < 50; ++waited)); do
      [[ -z "$(timeout 5 squeue --noheader 2>/dev/null)" ]] && break
      sleep 0.2
    done
  fi
  for ((i = ${#daemons[@]} - 1; i >= 0; --i)); do
    pid=${daemons[i]}
    kill "$pid" 2>/dev/null
    for ((waited = 0; waited < 50; ++waited)); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
  done
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

failed() {
  printf 'slurm_test_cluster: %s\n' "$*" >&2
  tail -n 20 "$work"/*.log >&2
  exit 1
}

# daemon NAME COMMAND...: in the background, with NAME.log; it does not outlive this script, even where
# that is killed.
daemon() {
  setpriv --pdeathsig KILL "${@:2}" >"$work/$1.log" 2>&1 &
  daemons+=($!)
}

# Ports that nobody uses now.
read -r ctld_port node1_port node2_port < <(python3 - <<'PORTS'
import socket
sockets = [socket.socket() for _ in range(3)]
for s in sockets:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))
PORTS
)
host=$(hostname)
cores=$(getconf _NPROCESSORS_ONLN)
((cores >= 2)) || cores=2
cat >"$work/slurm.conf" <<CONF
ClusterName=soapstone-test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$ctld_port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge.socket
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool-%n
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd-%n.pid
# No cgroups: containers often lack them.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1
MpiDefault=none
MailProg=/bin/true
KillWait=5
ReturnToService=2
NodeName=node1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$node1_port CPUs=$cores
NodeName=node2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$node2_port CPUs=$cores
PartitionName=main Nodes=node1,node2 Default=YES MaxTime=INFINITE State=UP
CONF
mkdir "$work/state"
unset "${!SLURM@}"  # of a job that this script may itself be in
export SLURM_CONF=$work/slurm.conf

(umask 077 && head -c 128 /dev/urandom >"$work/munge.key")
daemon munged munged --foreground --socket "$work/munge.socket" --key-file "$work/munge.key" \
  --pid-file "$work/munged.pid" --seed-file "$work/munged.seed"
for ((i = 0; i < 100; ++i)); do
  [[ -S $work/munge.socket ]] && break
  kill -0 "${daemons[0]}" 2>/dev/null || failed 'munged ended at once'
  sleep 0.1
done
daemon slurmctld slurmctld -D -c
for node in node1 node2; do daemon "slurmd-$node" slurmd -D -N "$node"; done
for ((i = 0; ; ++i)); do
  [[ "$(timeout 5 sinfo --noheader --states=idle --format=%D 2>/dev/null)" == 2 ]] && break
  ((i < 150)) || failed 'the nodes do not come up'
  for pid in "${daemons[@]}"; do kill -0 "$pid" 2>/dev/null || failed 'a daemon ended at once'; done
  sleep 0.2
done

# In the background, because bash would otherwise hear of a signal only when the command has ended.
setpriv --pdeathsig TERM "$@" <&0 &
command=$!
wait "$command"
