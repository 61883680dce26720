# fish completion of ssmgate, ssm-start-session, and aws ssm start-session.
# Made by tools/completions.py.

function __ssmgate_values -a kind
    set -l program ssmgate
    set -q __ssmgate_program
    and set program $__ssmgate_program
    command $program complete $kind -- (commandline -opc) (commandline -ct) 2>/dev/null </dev/null
end

# Whether the verb typed so far is this one; '' for none.
function __ssmgate_at -a verb
    set -l words (commandline -opc)
    contains -- -- $words
    and return 1
    for word in $words[2..-1]
        if not string match -q -- '-*' $word
            test "$word" = "$verb"
            return
        end
    end
    test -z "$verb"
end

# Whether the line is aws ... ssm ... start-session ...
function __ssmgate_aws
    set -l wanted ssm
    set -l value no
    set -l words (commandline -opc)
    for word in $words[2..-1]
        if test $value = yes
            set value no
        else if string match -q -- '-*' $word
            contains -- $word $__ssmgate_taking
            and set value yes
        else if test "$word" = $wanted
            test $wanted = start-session
            and return 0
            set wanted start-session
        else
            return 1
        end
    end
    return 1
end

function __ssmgate_sandboxed
    set -l words (commandline -opc)
    test "$words[2]" = sandbox
    and contains -- -- $words
end

function __ssmgate_sandboxed_words
    set -l words (commandline -opc)
    set -e words[1..(contains -i -- -- $words)]
    complete -C (string join ' ' -- (string escape -- $words) (commandline -ct))
end

complete -c ssmgate -e
complete -c ssmgate -f
complete -c ssm-start-session -e
complete -c ssm-start-session -f

@TABLES@

complete -c ssmgate -n __ssmgate_sandboxed -a '(__ssmgate_sandboxed_words)'
__ssmgate_start_session ssm-start-session true

# What completes aws besides stays: fish adds up.
function __ssmgate_take_aws
    set -q __ssmgate_aws_taken
    and return
    set -g __ssmgate_aws_taken yes
    __ssmgate_start_session aws __ssmgate_aws
end
