# Runs the plugin, the command after $1 and $2, and restores the terminal, which the plugin leaves
# in non-canonical mode. INT, QUIT and TSTP are ignored here as in the plugin, which gets them from
# the terminal itself. The signals whose numbers are in $1 are forwarded to it, from the first line
# on. Otherwise one of them would end this shell while the plugin runs on.
signal='' child=''
for ssmgate_number in $1; do
    trap "signal=$ssmgate_number; [ -z \"\$child\" ] || kill -$ssmgate_number \"\$child\"" \
        "$ssmgate_number"
done
ssmgate_number=$1

# $2 names the environment variables that this shell sets and the plugin must not get.
unset $2
shift 2
saved=$(stty -g 2>/dev/null)

# A shell replaces the stdin of a background command, unless it is redirected.
exec 3<&0
"$@" <&3 3<&- &
child=$!
exec 3<&-
[ -z "$signal" ] || kill "-$signal" "$child"

wait "$child"
status=$?
# A trapped signal ends `wait`, but not the plugin.
while [ -n "$signal" ] && kill -s 0 "$child" 2>/dev/null; do
    signal=''
    wait "$child"
    status=$?
done
trap '' TTOU $ssmgate_number
[ -z "$saved" ] || stty "$saved" 2>/dev/null
exit "$status"
