#!/usr/bin/env bash
# Runs a command on a small cluster made of this machine: hosts are network namespaces joined by a
# switch, each with its share of the cores and a network adapter of a given rate. On one machine communication hardly shows;
# between shaped hosts it costs what the rate says.
#
#   scripts/shaped_hosts.sh -n 2..4 -r RATE [-l] -- COMMAND [ARGUMENT...]
#
#   -n  number of hosts
#   -r  rate of each adapter in each direction, as tc takes it (1gbit, 200mbit)
#   -l  say why it cannot be done here and exit with 77 instead of running (0: it can be done)
#
# COMMAND runs on the first host with SOAPSTONE_MPIRUN_ARGS set, so that `soapstone` starts its ranks
# with one rank per host in turn. Your own use: mpirun $SOAPSTONE_MPIRUN_ARGS -n 2 PROGRAM.
# Exit code: COMMAND's; 77 where the kernel or the user's rights forbid it; 2 for a wrong call.
set -uo pipefail

usage() { sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//' >&2; exit 2; }
hosts='' rate='' only_ask=0
while (($# > 0)); do
  case $1 in
    -n) hosts=${2:-}; shift 2 || usage ;;
    -r) rate=${2:-}; shift 2 || usage ;;
    -l) only_ask=1; shift ;;
    --) shift; break ;;
    *) printf 'shaped_hosts: unknown argument %s\n' "$1" >&2; usage ;;
  esac
done
[[ $hosts =~ ^[2-4]$ ]] || { printf 'shaped_hosts: -n %s: 2, 3 or 4 hosts are accepted\n' "$hosts" >&2; usage; }
[[ $rate =~ ^[0-9]+([.][0-9]+)?[kmg]?bit$ ]] || { printf 'shaped_hosts: -r %s: a rate such as 1gbit or 200mbit is accepted\n' "$rate" >&2; usage; }
((only_ask == 1 || $# > 0)) || usage

cannot() { printf 'shaped_hosts: cannot be done here: %s\n' "$*" >&2; exit 77; }
command -v ip >/dev/null && command -v tc >/dev/null || cannot 'ip and tc are missing (package iproute2)'
((EUID == 0)) || cannot 'network namespaces need root'

# Names and addresses of this run alone, so that two runs do not meet. 198.18.0.0/15 is kept for
# tests of networks (RFC 2544).
tag=ss$$
net=198.$((18 + RANDOM % 2)).$((RANDOM % 256))
work=$(mktemp -d)
cleanup() {
  local i
  for ((i = 0; i < hosts; ++i)); do ip netns pids "$tag-$i" 2>/dev/null | xargs -r kill 2>/dev/null; done
  for ((i = 0; i < hosts; ++i)); do ip netns del "$tag-$i" 2>/dev/null; done
  ip netns del "$tag-switch" 2>/dev/null
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

{
  ip netns add "$tag-switch" &&
    ip -n "$tag-switch" link add bridge type bridge &&
    ip -n "$tag-switch" link set bridge up
} 2>"$work/why" || cannot "$(cat "$work/why")"
host_list=''
for ((i = 0; i < hosts; ++i)); do
  {
    ip netns add "$tag-$i" &&
      ip link add "$tag.$i" netns "$tag-$i" type veth peer name "port$i" netns "$tag-switch" &&
      ip -n "$tag-$i" link set "$tag.$i" name eth0 &&
      ip -n "$tag-$i" addr add "$net.$((i + 1))/24" dev eth0 &&
      ip -n "$tag-$i" link set eth0 up &&
      ip -n "$tag-$i" link set lo up &&
      ip -n "$tag-switch" link set "port$i" master bridge up &&
      ip netns exec "$tag-$i" tc qdisc add dev eth0 root tbf rate "$rate" burst 256kb latency 50ms &&
      ip netns exec "$tag-switch" tc qdisc add dev "port$i" root tbf rate "$rate" burst 256kb latency 50ms
  } 2>"$work/why" || cannot "$(cat "$work/why")"
  host_list+="${host_list:+,}$net.$((i + 1)):1"
done
if ((only_ask == 1)); then exit 0; fi

# Each host has its own share of the cores, one at least.
mapfile -t all_cores < <(taskset -cp $$ | sed 's/.*: //' | tr ',' '\n' | awk -F- '{ for (c = $1; c <= (NF > 1 ? $2 : $1); ++c) print c }')
share=$((${#all_cores[@]} / hosts > 0 ? ${#all_cores[@]} / hosts : 1))
cores_of() {
  local k list=''
  for ((k = 0; k < share; ++k)); do list+="${list:+,}${all_cores[$((($1 * share + k) % ${#all_cores[@]}))]}"; done
  echo "$list"
}

# Over one connection Open MPI sends and receives in turns; over several both ways at once.
# mpirun starts its daemons through this in place of ssh: the first argument is the host.
cat >"$work/agent" <<AGENT
#!/usr/bin/env bash
while [[ \$1 == -* ]]; do shift; done
host=\$1; shift
index=\$((\${host##*.} - 1))
cores=($(for ((i = 0; i < hosts; ++i)); do cores_of "$i"; done | tr '\n' ' '))
exec taskset -c "\${cores[\$index]}" ip netns exec "$tag-\$index" unshare --uts bash -c "hostname shaped\$index; \$*"
AGENT
chmod +x "$work/agent"
export SOAPSTONE_MPIRUN_ARGS="--host $host_list --map-by node --mca plm_rsh_agent $work/agent --mca btl tcp,self --mca btl_tcp_links 4 --mca pml ob1 --mca btl_tcp_if_include $net.0/24 --mca oob_tcp_if_include $net.0/24"
taskset -c "$(cores_of 0)" ip netns exec "$tag-0" unshare --uts bash -c 'hostname shaped0; exec "$@"' shaped0 "$@"
