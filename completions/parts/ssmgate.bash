# bash completion of ssmgate, ssm-start-session, and aws ssm start-session.
# Made by tools/completions.py. Works with bash 3.2 and later; needs no bash-completion.

@TABLES@

# The words up to the cursor as the shell will see them: readline breaks them at = and :, too.
# __ssmgate_before is what stands of the last word before the part that readline replaces.
__ssmgate_split() {
    local rest=${COMP_LINE:0:COMP_POINT} number word blank last=-1
    __ssmgate_words=()
    __ssmgate_before=
    for ((number = 0; number <= COMP_CWORD; number++)); do
        word=${COMP_WORDS[number]-}
        blank=${rest%%[![:space:]]*}
        rest=${rest#"$blank"}
        if ((number == COMP_CWORD)) || [[ $rest != "$word"* ]]; then
            word=$rest
        fi
        rest=${rest#"$word"}
        if [[ ! $blank ]] && ((last >= 0)); then
            __ssmgate_before=${__ssmgate_words[last]}
            __ssmgate_words[last]=$__ssmgate_before$word
            case $word in
                = | :) __ssmgate_before=$__ssmgate_before$word ;;
            esac
        else
            __ssmgate_before=
            last=$((last + 1))
            __ssmgate_words[last]=$word
        fi
    done
}

# PREFIX TYPED: offer those lines of stdin that go on from TYPED, each after PREFIX.
__ssmgate_offer() {
    local prefix=$1 typed=$2 line quote=
    case $typed in
        \'* | \"*) quote=${typed:0:1} typed=${typed:1} ;;
        *) typed=${typed//\\/} ;;
    esac
    while IFS= read -r line; do
        line=${line%%$'\t'*}
        if [[ $line && $line == "$typed"* ]]; then
            [[ $quote ]] || printf -v line %q "$line"
            line=$prefix$line
            COMPREPLY[${#COMPREPLY[@]}]=${line#"$__ssmgate_before"}
        fi
    done
}

# KIND PREFIX TYPED: offer the values of KIND.
__ssmgate_offer_values() {
    local word
    case $1 in
        '' | any) ;;
        =*) __ssmgate_offer "$2" "$3" < <(printf '%s\n' ${1#=}) ;;
        files)
            # With it readline does the quoting.
            compopt -o filenames 2>/dev/null
            while IFS= read -r word; do
                COMPREPLY[${#COMPREPLY[@]}]=$word
            done < <(compgen -f -- "$3" 2>/dev/null)
            ;;
        *)
            __ssmgate_offer "$2" "$3" < <(
                command "${__ssmgate_program:-ssmgate}" complete "$1" --quoted -- \
                    "${__ssmgate_words[@]}" 2>/dev/null </dev/null
            )
            ;;
    esac
}

# COMMAND FIRST: complete the last word, where COMMAND is the word numbered FIRST.
__ssmgate_command() {
    local last=$((${#__ssmgate_words[@]} - 1)) option word number found
    local typed=${__ssmgate_words[last]} IFS=$' \t\n'
    case $typed in
        --*=*)
            __ssmgate_value "$1" "${typed%%=*}"
            __ssmgate_offer_values "$__ssmgate_kind" "${typed%%=*}=" "${typed#*=}"
            return
            ;;
    esac
    if ((last - 1 > $2)); then
        __ssmgate_value "$1" "${__ssmgate_words[last - 1]}"
        if [[ $__ssmgate_kind ]]; then
            __ssmgate_offer_values "$__ssmgate_kind" '' "$typed"
            return
        fi
    fi
    if [[ $1 == sandbox ]]; then
        for ((number = $2 + 1; number < last; number++)); do
            if [[ ${__ssmgate_words[number]} == -- ]]; then
                if ((number + 1 == last)); then
                    __ssmgate_offer '' "$typed" < <(compgen -c -- "$typed" 2>/dev/null)
                else
                    __ssmgate_offer_values files '' "$typed"
                fi
                return
            fi
        done
    fi
    if [[ $typed == -* ]]; then
        __ssmgate_options "$1"
        found=
        for option in $__ssmgate_found; do
            for ((number = $2 + 1; number < last; number++)); do
                word=${__ssmgate_words[number]}
                [[ $word != "$option" && $word != "$option="* ]] || continue 2
            done
            found+=$option$'\n'
        done
        __ssmgate_offer '' "$typed" <<<"$found"
    else
        __ssmgate_argument "$1"
        __ssmgate_offer_values "$__ssmgate_kind" '' "$typed"
    fi
}

_ssmgate() {
    local number last __ssmgate_words __ssmgate_before __ssmgate_kind __ssmgate_found
    COMPREPLY=()
    __ssmgate_split
    last=$((${#__ssmgate_words[@]} - 1))
    for ((number = 1; number < last; number++)); do
        if [[ ${__ssmgate_words[number]} != -* ]]; then
            __ssmgate_command "${__ssmgate_words[number]}" "$number"
            return
        fi
    done
    __ssmgate_command ssmgate 0
}

_ssm_start_session() {
    local __ssmgate_words __ssmgate_before __ssmgate_kind __ssmgate_found
    COMPREPLY=()
    __ssmgate_split
    __ssmgate_command start-session 0
}

# aws ... ssm ... start-session ... is ours; all else goes to what completed aws before.
_ssmgate_aws() {
    local number last word wanted=ssm
    local __ssmgate_words __ssmgate_before __ssmgate_kind __ssmgate_found
    COMPREPLY=()
    __ssmgate_split
    last=$((${#__ssmgate_words[@]} - 1))
    for ((number = 1; number < last; number++)); do
        word=${__ssmgate_words[number]}
        case $word in
            -*=*) ;;
            -*)
                __ssmgate_value start-session "$word"
                [[ ! $__ssmgate_kind ]] || number=$((number + 1))
                ;;
            "$wanted")
                if [[ $wanted == start-session ]]; then
                    # Those of what completed aws before.
                    compopt +o nospace +o default +o bashdefault 2>/dev/null
                    __ssmgate_command start-session "$number"
                    return
                fi
                wanted=start-session
                ;;
            *) break ;;
        esac
    done
    __ssmgate_aws_otherwise "$@"
}

__ssmgate_aws_otherwise() {
    local line
    if [[ ! ${__ssmgate_aws_before-} ]]; then
        # bash-completion's, if there is one: it is loaded when it is first wanted.
        for line in _comp_load __load_completion _completion_loader; do
            if declare -F "$line" >/dev/null; then
                "$line" aws >/dev/null 2>&1
                break
            fi
        done
        __ssmgate_take_aws
        [[ $__ssmgate_aws_before ]] || __ssmgate_aws_before=none
    fi
    case $__ssmgate_aws_before in
        function:*) "${__ssmgate_aws_before#*:}" "$@" ;;
        command:*)
            while IFS= read -r line; do
                COMPREPLY[${#COMPREPLY[@]}]=$line
            done < <(
                export COMP_LINE COMP_POINT COMP_TYPE COMP_KEY
                eval "${__ssmgate_aws_before#*:}" '"$@"'
            )
            ;;
    esac
}

# Complete aws by _ssmgate_aws, and remember what did. Other kinds than -C and -F stay.
__ssmgate_take_aws() {
    local specification before=none options=()
    specification=$(complete -p aws 2>/dev/null)
    if [[ $specification ]]; then
        # bash quoted it to be read again.
        eval "set -- $specification"
        shift
        while (($# > 1)); do
            case $1 in
                -o) options=(${options[@]+"${options[@]}"} -o "$2") ;;
                -C) before=command:$2 ;;
                -F) before=function:$2 ;;
                *) return 0 ;;
            esac
            shift 2
        done
        [[ $before != function:_ssmgate_aws ]] || return 0
    else
        options=(-o bashdefault -o default)
        before=
    fi
    __ssmgate_aws_before=$before
    complete ${options[@]+"${options[@]}"} -F _ssmgate_aws aws
}

complete -F _ssmgate ssmgate
complete -F _ssm_start_session ssm-start-session
