#compdef ssmgate ssm-start-session
# zsh completion of ssmgate, ssm-start-session, and aws ssm start-session.
# Made by tools/completions.py.

@TABLES@

# Offer the values of the last argument, a word of `ssmgate complete`; compadd gets the others.
__ssmgate_values() {
    local -a lines names shown
    local line
    lines=("${(@f)$(command ${__ssmgate_program:-ssmgate} complete ${@[-1]} -- \
        "${(@)__ssmgate_words}" 2>/dev/null </dev/null)}")
    for line in ${lines}; do
        names+=("${line%%$'\t'*}")
        shown+=("${line/$'\t'/  -- }")
    done
    (( ${#names} )) && compadd "${@[1,-2]}" -l -d shown -a names
}

__ssmgate_ssmgate() {
    local curcontext=$curcontext context state state_descr line
    typeset -A opt_args
    _arguments -C $__ssmgate_options_ssmgate '1: :__ssmgate_verbs' '*:: :->rest' && return 0
    [[ $state == rest ]] || return 1
    if [[ $words[1] == sandbox ]] && (( ${words[(i)--]} < CURRENT )); then
        (( CURRENT -= ${words[(i)--]} ))
        shift ${words[(i)--]} words
        _normal
        return
    fi
    local -a specs
    specs=("${(@P)${:-__ssmgate_options_${words[1]//-/_}}}")
    [[ -n $specs ]] && _arguments $specs
}

# Whether the line is aws ... ssm ... start-session ...; leaves the words from there on.
__ssmgate_aws_starts() {
    local wanted=ssm word
    local -i number
    for (( number = 2; number < CURRENT; number++ )); do
        word=$words[number]
        case $word in
            (-*=*) ;;
            (-*) (( ${__ssmgate_taking[(Ie)$word]} )) && (( number++ )) ;;
            ($wanted)
                if [[ $word == start-session ]]; then
                    shift $(( number - 1 )) words
                    (( CURRENT -= number - 1 ))
                    return 0
                fi
                wanted=start-session ;;
            (*) return 1 ;;
        esac
    done
    return 1
}

_ssmgate() {
    local -a __ssmgate_words
    __ssmgate_words=("${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}")
    case $service in
        (ssmgate) __ssmgate_ssmgate ;;
        (aws)
            if __ssmgate_aws_starts; then
                _arguments $__ssmgate_options_start_session
            else
                eval "${__ssmgate_aws_before:-_default}"
            fi ;;
        (*) _arguments $__ssmgate_options_start_session ;;
    esac
}

_ssmgate "$@"
