# Runs the plugin, the command after $1 to $6. Then restores the terminal, which the plugin leaves in
# non-canonical mode, and records the end of the session. At a terminal, INT, QUIT and TSTP are
# ignored here as in the plugin, which gets them from the terminal itself. The signals whose numbers
# are in $1 are forwarded to it, from the first line on. Otherwise one of them would end this shell
# while the plugin runs on.
ssmgate_signal='' ssmgate_child=''
for ssmgate_number in $1; do
    trap "ssmgate_signal=$ssmgate_number
        [ -z \"\$ssmgate_child\" ] || kill -$ssmgate_number \"\$ssmgate_child\"" "$ssmgate_number"
done
ssmgate_number=$1

# $2 names the environment variables that this shell sets and the plugin must not get. $3 is empty
# without a terminal to restore, $4 to $6 if the end is not recorded.
unset $2
ssmgate_terminal=$3 ssmgate_python=$4 ssmgate_option=$5 ssmgate_facts=$6
shift 6
ssmgate_saved=''
[ -z "$ssmgate_terminal" ] || ssmgate_saved=$(stty -g 2>/dev/null)

# A shell replaces the stdin of a background command, unless it is redirected.
exec 3<&0
"$@" <&3 3<&- &
ssmgate_child=$!
exec 3<&-
# Who reads or writes the other end of a pipe has to notice that the plugin ended.
[ -n "$ssmgate_terminal" ] || exec <&- >&-
[ -z "$ssmgate_signal" ] || kill "-$ssmgate_signal" "$ssmgate_child"

wait "$ssmgate_child"
ssmgate_status=$?
# A trapped signal ends `wait`, but not the plugin.
while [ -n "$ssmgate_signal" ] && kill -s 0 "$ssmgate_child" 2>/dev/null; do
    ssmgate_signal=''
    wait "$ssmgate_child"
    ssmgate_status=$?
done
trap '' TTOU $ssmgate_number
[ -z "$ssmgate_saved" ] || stty "$ssmgate_saved" 2>/dev/null
[ -z "$ssmgate_python" ] || "$ssmgate_python" "$ssmgate_option" -m ssmgate.gate.records.end \
    "$ssmgate_facts" "$ssmgate_status" </dev/null >/dev/null
exit "$ssmgate_status"
