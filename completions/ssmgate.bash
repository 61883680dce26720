# bash completion of ssmgate, ssm-start-session, and aws ssm start-session.
# Made by tools/completions.py. Works with bash 3.2 and later; needs no bash-completion.

__ssmgate_options() {
    case $1 in
        ssmgate) __ssmgate_found='--version --help' ;;
        cache) __ssmgate_found='--help --output' ;;
        check) __ssmgate_found='--help --explain --request --redact --quiet --without --fail-on-unenforced --target --document-name --reason --parameters --cli-input-json --cli-input-yaml --generate-cli-skeleton --debug --endpoint-url --no-verify-ssl --no-paginate --output --query --profile --region --color --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --no-cli-pager --no-cli-auto-prompt --cli-error-format --version' ;;
        config) __ssmgate_found='--help --origin' ;;
        daemon) __ssmgate_found='--help --idle' ;;
        doctor) __ssmgate_found='--help --target --document-name --reason --parameters --cli-input-json --cli-input-yaml --generate-cli-skeleton --debug --endpoint-url --no-verify-ssl --no-paginate --output --query --profile --region --color --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --no-cli-pager --no-cli-auto-prompt --cli-error-format --version' ;;
        documents) __ssmgate_found='--help --target --redact --document-name --reason --parameters --cli-input-json --cli-input-yaml --generate-cli-skeleton --debug --endpoint-url --no-verify-ssl --no-paginate --output --query --profile --region --color --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --no-cli-pager --no-cli-auto-prompt --cli-error-format --version' ;;
        help) __ssmgate_found='--help' ;;
        init) __ssmgate_found='--function --check --help' ;;
        login) __ssmgate_found='--help' ;;
        policy) __ssmgate_found='--help --from --who --document-name --target --tag --what --unbound --assert --documents --nodes --document-content --organization --region --output --confirm --profile --redact --caller --boundary --scp --scp-level --context --document-context --aws --explain --request --quiet --fail-on-unenforced --reason --parameters --cli-input-json --cli-input-yaml --generate-cli-skeleton --debug --endpoint-url --no-verify-ssl --no-paginate --query --color --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --no-cli-pager --no-cli-auto-prompt --cli-error-format --version --select --ignore --fail-on --baseline --write-baseline --account --partition --role --format --junit --write' ;;
        records) __ssmgate_found='--help --head --output --since --user --document --denied --session --follow --cloudtrail' ;;
        sandbox) __ssmgate_found='--as --seed --session-document-model --session-logs --port --help' ;;
        ssh-config) __ssmgate_found='--host --user --profile --region --help' ;;
        start-session) __ssmgate_found='--target --document-name --reason --parameters --cli-input-json --cli-input-yaml --generate-cli-skeleton --debug --endpoint-url --no-verify-ssl --no-paginate --output --query --profile --region --color --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --no-cli-pager --no-cli-auto-prompt --cli-error-format --version' ;;
        *) __ssmgate_found= ;;
    esac
}

__ssmgate_argument() {
    case $1 in
        ssmgate) __ssmgate_kind='=cache check config daemon doctor documents help init login policy records sandbox ssh-config start-session' ;;
        cache) __ssmgate_kind='=clear show' ;;
        config) __ssmgate_kind='=check show' ;;
        daemon) __ssmgate_kind='=run status stop' ;;
        help) __ssmgate_kind='=cache check config daemon doctor documents help init login policy records sandbox ssh-config start-session' ;;
        init) __ssmgate_kind='=bash zsh fish' ;;
        policy) __ssmgate_kind='=audit check lint print test' ;;
        records) __ssmgate_kind='=catalog join show stats verify' ;;
        sandbox) __ssmgate_kind='=env' ;;
        start-session) __ssmgate_kind='=help' ;;
        *) __ssmgate_kind= ;;
    esac
}

__ssmgate_value() {
    case "$1 $2" in
        'cache --output') __ssmgate_kind='=text json' ;;
        'check --without') __ssmgate_kind='any' ;;
        'check --target') __ssmgate_kind='targets' ;;
        'check --document-name') __ssmgate_kind='documents' ;;
        'check --reason') __ssmgate_kind='any' ;;
        'check --parameters') __ssmgate_kind='any' ;;
        'check --cli-input-json') __ssmgate_kind='any' ;;
        'check --cli-input-yaml') __ssmgate_kind='any' ;;
        'check --generate-cli-skeleton') __ssmgate_kind='=input output yaml-input' ;;
        'check --endpoint-url') __ssmgate_kind='any' ;;
        'check --output') __ssmgate_kind='=json text table yaml yaml-stream off' ;;
        'check --query') __ssmgate_kind='any' ;;
        'check --profile') __ssmgate_kind='profiles' ;;
        'check --region') __ssmgate_kind='regions' ;;
        'check --color') __ssmgate_kind='=on off auto' ;;
        'check --ca-bundle') __ssmgate_kind='files' ;;
        'check --cli-read-timeout') __ssmgate_kind='any' ;;
        'check --cli-connect-timeout') __ssmgate_kind='any' ;;
        'check --cli-binary-format') __ssmgate_kind='=base64 raw-in-base64-out' ;;
        'check --cli-error-format') __ssmgate_kind='=legacy json yaml text table enhanced' ;;
        'daemon --idle') __ssmgate_kind='any' ;;
        'doctor --target') __ssmgate_kind='targets' ;;
        'doctor --document-name') __ssmgate_kind='documents' ;;
        'doctor --reason') __ssmgate_kind='any' ;;
        'doctor --parameters') __ssmgate_kind='any' ;;
        'doctor --cli-input-json') __ssmgate_kind='any' ;;
        'doctor --cli-input-yaml') __ssmgate_kind='any' ;;
        'doctor --generate-cli-skeleton') __ssmgate_kind='=input output yaml-input' ;;
        'doctor --endpoint-url') __ssmgate_kind='any' ;;
        'doctor --output') __ssmgate_kind='=json text table yaml yaml-stream off' ;;
        'doctor --query') __ssmgate_kind='any' ;;
        'doctor --profile') __ssmgate_kind='profiles' ;;
        'doctor --region') __ssmgate_kind='regions' ;;
        'doctor --color') __ssmgate_kind='=on off auto' ;;
        'doctor --ca-bundle') __ssmgate_kind='files' ;;
        'doctor --cli-read-timeout') __ssmgate_kind='any' ;;
        'doctor --cli-connect-timeout') __ssmgate_kind='any' ;;
        'doctor --cli-binary-format') __ssmgate_kind='=base64 raw-in-base64-out' ;;
        'doctor --cli-error-format') __ssmgate_kind='=legacy json yaml text table enhanced' ;;
        'documents --target') __ssmgate_kind='targets' ;;
        'documents --document-name') __ssmgate_kind='documents' ;;
        'documents --reason') __ssmgate_kind='any' ;;
        'documents --parameters') __ssmgate_kind='any' ;;
        'documents --cli-input-json') __ssmgate_kind='any' ;;
        'documents --cli-input-yaml') __ssmgate_kind='any' ;;
        'documents --generate-cli-skeleton') __ssmgate_kind='=input output yaml-input' ;;
        'documents --endpoint-url') __ssmgate_kind='any' ;;
        'documents --output') __ssmgate_kind='=json text table yaml yaml-stream off' ;;
        'documents --query') __ssmgate_kind='any' ;;
        'documents --profile') __ssmgate_kind='profiles' ;;
        'documents --region') __ssmgate_kind='regions' ;;
        'documents --color') __ssmgate_kind='=on off auto' ;;
        'documents --ca-bundle') __ssmgate_kind='files' ;;
        'documents --cli-read-timeout') __ssmgate_kind='any' ;;
        'documents --cli-connect-timeout') __ssmgate_kind='any' ;;
        'documents --cli-binary-format') __ssmgate_kind='=base64 raw-in-base64-out' ;;
        'documents --cli-error-format') __ssmgate_kind='=legacy json yaml text table enhanced' ;;
        'policy --from') __ssmgate_kind='any' ;;
        'policy --document-name') __ssmgate_kind='documents' ;;
        'policy --target') __ssmgate_kind='targets' ;;
        'policy --tag') __ssmgate_kind='any' ;;
        'policy --what') __ssmgate_kind='any' ;;
        'policy --assert') __ssmgate_kind='any' ;;
        'policy --documents') __ssmgate_kind='any' ;;
        'policy --nodes') __ssmgate_kind='any' ;;
        'policy --document-content') __ssmgate_kind='any' ;;
        'policy --organization') __ssmgate_kind='any' ;;
        'policy --region') __ssmgate_kind='regions' ;;
        'policy --output') __ssmgate_kind='=text json sarif github' ;;
        'policy --confirm') __ssmgate_kind='any' ;;
        'policy --profile') __ssmgate_kind='profiles' ;;
        'policy --caller') __ssmgate_kind='any' ;;
        'policy --boundary') __ssmgate_kind='files' ;;
        'policy --scp') __ssmgate_kind='files' ;;
        'policy --context') __ssmgate_kind='any' ;;
        'policy --document-context') __ssmgate_kind='any' ;;
        'policy --reason') __ssmgate_kind='any' ;;
        'policy --parameters') __ssmgate_kind='any' ;;
        'policy --cli-input-json') __ssmgate_kind='any' ;;
        'policy --cli-input-yaml') __ssmgate_kind='any' ;;
        'policy --generate-cli-skeleton') __ssmgate_kind='=input output yaml-input' ;;
        'policy --endpoint-url') __ssmgate_kind='any' ;;
        'policy --query') __ssmgate_kind='any' ;;
        'policy --color') __ssmgate_kind='=on off auto' ;;
        'policy --ca-bundle') __ssmgate_kind='files' ;;
        'policy --cli-read-timeout') __ssmgate_kind='any' ;;
        'policy --cli-connect-timeout') __ssmgate_kind='any' ;;
        'policy --cli-binary-format') __ssmgate_kind='=base64 raw-in-base64-out' ;;
        'policy --cli-error-format') __ssmgate_kind='=legacy json yaml text table enhanced' ;;
        'policy --select') __ssmgate_kind='any' ;;
        'policy --ignore') __ssmgate_kind='any' ;;
        'policy --fail-on') __ssmgate_kind='=note low medium high' ;;
        'policy --baseline') __ssmgate_kind='any' ;;
        'policy --write-baseline') __ssmgate_kind='any' ;;
        'policy --account') __ssmgate_kind='any' ;;
        'policy --partition') __ssmgate_kind='any' ;;
        'policy --role') __ssmgate_kind='any' ;;
        'policy --format') __ssmgate_kind='=json terraform' ;;
        'policy --junit') __ssmgate_kind='any' ;;
        'records --head') __ssmgate_kind='any' ;;
        'records --output') __ssmgate_kind='=text json' ;;
        'records --since') __ssmgate_kind='any' ;;
        'records --user') __ssmgate_kind='any' ;;
        'records --document') __ssmgate_kind='any' ;;
        'records --session') __ssmgate_kind='any' ;;
        'records --cloudtrail') __ssmgate_kind='any' ;;
        'sandbox --as') __ssmgate_kind='any' ;;
        'sandbox --seed') __ssmgate_kind='files' ;;
        'sandbox --session-document-model') __ssmgate_kind='=2021 2023 2025' ;;
        'sandbox --session-logs') __ssmgate_kind='files' ;;
        'sandbox --port') __ssmgate_kind='any' ;;
        'ssh-config --host') __ssmgate_kind='any' ;;
        'ssh-config --user') __ssmgate_kind='any' ;;
        'ssh-config --profile') __ssmgate_kind='profiles' ;;
        'ssh-config --region') __ssmgate_kind='regions' ;;
        'start-session --target') __ssmgate_kind='targets' ;;
        'start-session --document-name') __ssmgate_kind='documents' ;;
        'start-session --reason') __ssmgate_kind='any' ;;
        'start-session --parameters') __ssmgate_kind='any' ;;
        'start-session --cli-input-json') __ssmgate_kind='any' ;;
        'start-session --cli-input-yaml') __ssmgate_kind='any' ;;
        'start-session --generate-cli-skeleton') __ssmgate_kind='=input output yaml-input' ;;
        'start-session --endpoint-url') __ssmgate_kind='any' ;;
        'start-session --output') __ssmgate_kind='=json text table yaml yaml-stream off' ;;
        'start-session --query') __ssmgate_kind='any' ;;
        'start-session --profile') __ssmgate_kind='profiles' ;;
        'start-session --region') __ssmgate_kind='regions' ;;
        'start-session --color') __ssmgate_kind='=on off auto' ;;
        'start-session --ca-bundle') __ssmgate_kind='files' ;;
        'start-session --cli-read-timeout') __ssmgate_kind='any' ;;
        'start-session --cli-connect-timeout') __ssmgate_kind='any' ;;
        'start-session --cli-binary-format') __ssmgate_kind='=base64 raw-in-base64-out' ;;
        'start-session --cli-error-format') __ssmgate_kind='=legacy json yaml text table enhanced' ;;
        *) __ssmgate_kind= ;;
    esac
}

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
