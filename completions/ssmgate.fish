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

function __ssmgate_start_session -a program condition
    complete -c $program -n $condition -l target -x -a '(__ssmgate_values targets)' -d 'The managed node'
    complete -c $program -n $condition -l document-name -x -a '(__ssmgate_values documents)' -d 'The session document'
    complete -c $program -n $condition -l reason -x -d 'The reason for connecting to the instance'
    complete -c $program -n $condition -l parameters -x -d 'The session document\'s parameters'
    complete -c $program -n $condition -l cli-input-json -x -d 'The request as JSON'
    complete -c $program -n $condition -l cli-input-yaml -x -d 'The request as YAML'
    complete -c $program -n $condition -l generate-cli-skeleton -x -a 'input output yaml-input' -d 'Print a request to fill in'
    complete -c $program -n $condition -l debug -d 'Turn on debug logging'
    complete -c $program -n $condition -l endpoint-url -x -d 'Where Session Manager is'
    complete -c $program -n $condition -l no-verify-ssl -d 'Do not verify TLS certificates'
    complete -c $program -n $condition -l no-paginate -d 'Disable automatic pagination'
    complete -c $program -n $condition -l output -x -a 'json text table yaml yaml-stream off' -d 'The formatting style for command output'
    complete -c $program -n $condition -l query -x -d 'A JMESPath query to use in filtering the response data'
    complete -c $program -n $condition -l profile -x -a '(__ssmgate_values profiles)' -d 'The AWS profile'
    complete -c $program -n $condition -l region -x -a '(__ssmgate_values regions)' -d 'The AWS region'
    complete -c $program -n $condition -l color -x -a 'on off auto' -d 'Turn on/off color output'
    complete -c $program -n $condition -l ca-bundle -r -F -d 'The CA certificate bundle to use when verifying SSL certificates'
    complete -c $program -n $condition -l cli-read-timeout -x -d 'The maximum socket read time in seconds'
    complete -c $program -n $condition -l cli-connect-timeout -x -d 'The maximum socket connect time in seconds'
    complete -c $program -n $condition -l cli-binary-format -x -a 'base64 raw-in-base64-out' -d 'How binary values are given'
    complete -c $program -n $condition -l no-cli-pager -d 'No pager for output'
    complete -c $program -n $condition -l no-cli-auto-prompt -d 'No prompt for parameters'
    complete -c $program -n $condition -l cli-error-format -x -a 'legacy json yaml text table enhanced' -d 'The look of errors'
    complete -c $program -n $condition -l version -d 'Display the version of this tool'
    complete -c $program -n $condition -f -a help -d 'The help of the AWS CLI'
end

set -g __ssmgate_taking --target --document-name --reason --parameters --cli-input-json --cli-input-yaml --generate-cli-skeleton --endpoint-url --output --query --profile --region --color --ca-bundle --cli-read-timeout --cli-connect-timeout --cli-binary-format --cli-error-format

complete -c ssmgate -n "__ssmgate_at ''" -l version -d 'Show the version and exit'
complete -c ssmgate -n "__ssmgate_at ''" -l help -s h -d 'Show this message and exit'
complete -c ssmgate -n "__ssmgate_at cache" -l help -s h -d 'Show this message and exit'
complete -c ssmgate -n "__ssmgate_at cache" -l output -x -a 'text json' -d 'The format'
complete -c ssmgate -n "__ssmgate_at cache" -a 'clear show'
complete -c ssmgate -n "__ssmgate_at ''" -a cache -d 'Inspect or clear the cache of IAM allow decisions'
complete -c ssmgate -n "__ssmgate_at check" -l help -s h -d 'Show this message and exit'
complete -c ssmgate -n "__ssmgate_at check" -l explain -d 'show statements, missing keys and near misses'
complete -c ssmgate -n "__ssmgate_at check" -l request -d 'print a request to your administrator'
complete -c ssmgate -n "__ssmgate_at check" -l redact -d 'replace account IDs and names with placeholders'
complete -c ssmgate -n "__ssmgate_at check" -l quiet -s q -d 'print nothing: the exit status is the answer'
complete -c ssmgate -n "__ssmgate_at check" -l without -x -d 'ignore a policy: an ARN, a name, boundary or scp; may be given again'
complete -c ssmgate -n "__ssmgate_at check" -l fail-on-unenforced -d 'exit 3 if AWS may not check the document'
complete -c ssmgate -n "__ssmgate_at check" -l target -x -a '(__ssmgate_values targets)' -d 'The managed node'
complete -c ssmgate -n "__ssmgate_at check" -l document-name -x -a '(__ssmgate_values documents)' -d 'The session document'
complete -c ssmgate -n "__ssmgate_at check" -l reason -x -d 'The reason for connecting to the instance'
complete -c ssmgate -n "__ssmgate_at check" -l parameters -x -d 'The session document\'s parameters'
complete -c ssmgate -n "__ssmgate_at check" -l cli-input-json -x -d 'The request as JSON'
complete -c ssmgate -n "__ssmgate_at check" -l cli-input-yaml -x -d 'The request as YAML'
complete -c ssmgate -n "__ssmgate_at check" -l generate-cli-skeleton -x -a 'input output yaml-input' -d 'Print a request to fill in'
complete -c ssmgate -n "__ssmgate_at check" -l debug -d 'Turn on debug logging'
complete -c ssmgate -n "__ssmgate_at check" -l endpoint-url -x -d 'Where Session Manager is'
complete -c ssmgate -n "__ssmgate_at check" -l no-verify-ssl -d 'Do not verify TLS certificates'
complete -c ssmgate -n "__ssmgate_at check" -l no-paginate -d 'Disable automatic pagination'
complete -c ssmgate -n "__ssmgate_at check" -l output -x -a 'json text table yaml yaml-stream off' -d 'The formatting style for command output'
complete -c ssmgate -n "__ssmgate_at check" -l query -x -d 'A JMESPath query to use in filtering the response data'
complete -c ssmgate -n "__ssmgate_at check" -l profile -x -a '(__ssmgate_values profiles)' -d 'The AWS profile'
complete -c ssmgate -n "__ssmgate_at check" -l region -x -a '(__ssmgate_values regions)' -d 'The AWS region'
complete -c ssmgate -n "__ssmgate_at check" -l color -x -a 'on off auto' -d 'Turn on/off color output'
complete -c ssmgate -n "__ssmgate_at check" -l ca-bundle -r -F -d 'The CA certificate bundle to use when verifying SSL certificates'
complete -c ssmgate -n "__ssmgate_at check" -l cli-read-timeout -x -d 'The maximum socket read time in seconds'
complete -c ssmgate -n "__ssmgate_at check" -l cli-connect-timeout -x -d 'The maximum socket connect time in seconds'
complete -c ssmgate -n "__ssmgate_at check" -l cli-binary-format -x -a 'base64 raw-in-base64-out' -d 'How binary values are given'
complete -c ssmgate -n "__ssmgate_at check" -l no-cli-pager -d 'No pager for output'
complete -c ssmgate -n "__ssmgate_at check" -l no-cli-auto-prompt -d 'No prompt for parameters'
complete -c ssmgate -n "__ssmgate_at check" -l cli-error-format -x -a 'legacy json yaml text table enhanced' -d 'The look of errors'
complete -c ssmgate -n "__ssmgate_at check" -l version -d 'Display the version of this tool'
complete -c ssmgate -n "__ssmgate_at ''" -a check -d 'Check whether you may start a session, and why not'
complete -c ssmgate -n "__ssmgate_at config" -l help -s h -d 'Show this message and exit'
complete -c ssmgate -n "__ssmgate_at config" -l origin -d 'Also show the source of each value'
complete -c ssmgate -n "__ssmgate_at config" -a 'check show'
complete -c ssmgate -n "__ssmgate_at ''" -a config -d 'Show the configuration, or check a configuration file'
complete -c ssmgate -n "__ssmgate_at daemon" -l help -s h -d 'Show this message and exit'
complete -c ssmgate -n "__ssmgate_at daemon" -l idle -x -d 'Exit after this time without a session start; 0: never'
complete -c ssmgate -n "__ssmgate_at daemon" -a 'run status stop'
complete -c ssmgate -n "__ssmgate_at ''" -a daemon -d 'Run the fork server that speeds up session starts'
complete -c ssmgate -n "__ssmgate_at doctor" -l help -s h -d 'Show this message and exit'
complete -c ssmgate -n "__ssmgate_at doctor" -l target -x -a '(__ssmgate_values targets)' -d 'also check whether AWS checks the document on it'
complete -c ssmgate -n "__ssmgate_at doctor" -l document-name -x -a '(__ssmgate_values documents)' -d 'The session document'
complete -c ssmgate -n "__ssmgate_at doctor" -l reason -x -d 'The reason for connecting to the instance'
complete -c ssmgate -n "__ssmgate_at doctor" -l parameters -x -d 'The session document\'s parameters'
complete -c ssmgate -n "__ssmgate_at doctor" -l cli-input-json -x -d 'The request as JSON'
complete -c ssmgate -n "__ssmgate_at doctor" -l cli-input-yaml -x -d 'The request as YAML'
complete -c ssmgate -n "__ssmgate_at doctor" -l generate-cli-skeleton -x -a 'input output yaml-input' -d 'Print a request to fill in'
complete -c ssmgate -n "__ssmgate_at doctor" -l debug -d 'Turn on debug logging'
complete -c ssmgate -n "__ssmgate_at doctor" -l endpoint-url -x -d 'Where Session Manager is'
complete -c ssmgate -n "__ssmgate_at doctor" -l no-verify-ssl -d 'Do not verify TLS certificates'
complete -c ssmgate -n "__ssmgate_at doctor" -l no-paginate -d 'Disable automatic pagination'
complete -c ssmgate -n "__ssmgate_at doctor" -l output -x -a 'json text table yaml yaml-stream off' -d 'The formatting style for command output'
complete -c ssmgate -n "__ssmgate_at doctor" -l query -x -d 'A JMESPath query to use in filtering the response data'
complete -c ssmgate -n "__ssmgate_at doctor" -l profile -x -a '(__ssmgate_values profiles)' -d 'The AWS profile'
complete -c ssmgate -n "__ssmgate_at doctor" -l region -x -a '(__ssmgate_values regions)' -d 'The AWS region'
complete -c ssmgate -n "__ssmgate_at doctor" -l color -x -a 'on off auto' -d 'Turn on/off color output'
complete -c ssmgate -n "__ssmgate_at doctor" -l ca-bundle -r -F -d 'The CA certificate bundle to use when verifying SSL certificates'
complete -c ssmgate -n "__ssmgate_at doctor" -l cli-read-timeout -x -d 'The maximum socket read time in seconds'
complete -c ssmgate -n "__ssmgate_at doctor" -l cli-connect-timeout -x -d 'The maximum socket connect time in seconds'
complete -c ssmgate -n "__ssmgate_at doctor" -l cli-binary-format -x -a 'base64 raw-in-base64-out' -d 'How binary values are given'
complete -c ssmgate -n "__ssmgate_at doctor" -l no-cli-pager -d 'No pager for output'
complete -c ssmgate -n "__ssmgate_at doctor" -l no-cli-auto-prompt -d 'No prompt for parameters'
complete -c ssmgate -n "__ssmgate_at doctor" -l cli-error-format -x -a 'legacy json yaml text table enhanced' -d 'The look of errors'
complete -c ssmgate -n "__ssmgate_at doctor" -l version -d 'Display the version of this tool'
complete -c ssmgate -n "__ssmgate_at ''" -a doctor -d 'Check whether this machine can start sessions'
complete -c ssmgate -n "__ssmgate_at documents" -l help -s h -d 'Show this message and exit'
complete -c ssmgate -n "__ssmgate_at documents" -l target -x -a '(__ssmgate_values targets)' -d 'also check whether sessions on it are allowed'
complete -c ssmgate -n "__ssmgate_at documents" -l redact -d 'replace account IDs and names with placeholders'
complete -c ssmgate -n "__ssmgate_at documents" -l document-name -x -a '(__ssmgate_values documents)' -d 'The session document'
complete -c ssmgate -n "__ssmgate_at documents" -l reason -x -d 'The reason for connecting to the instance'
complete -c ssmgate -n "__ssmgate_at documents" -l parameters -x -d 'The session document\'s parameters'
complete -c ssmgate -n "__ssmgate_at documents" -l cli-input-json -x -d 'The request as JSON'
complete -c ssmgate -n "__ssmgate_at documents" -l cli-input-yaml -x -d 'The request as YAML'
complete -c ssmgate -n "__ssmgate_at documents" -l generate-cli-skeleton -x -a 'input output yaml-input' -d 'Print a request to fill in'
complete -c ssmgate -n "__ssmgate_at documents" -l debug -d 'Turn on debug logging'
complete -c ssmgate -n "__ssmgate_at documents" -l endpoint-url -x -d 'Where Session Manager is'
complete -c ssmgate -n "__ssmgate_at documents" -l no-verify-ssl -d 'Do not verify TLS certificates'
complete -c ssmgate -n "__ssmgate_at documents" -l no-paginate -d 'Disable automatic pagination'
complete -c ssmgate -n "__ssmgate_at documents" -l output -x -a 'json text table yaml yaml-stream off' -d 'The formatting style for command output'
complete -c ssmgate -n "__ssmgate_at documents" -l query -x -d 'A JMESPath query to use in filtering the response data'
complete -c ssmgate -n "__ssmgate_at documents" -l profile -x -a '(__ssmgate_values profiles)' -d 'The AWS profile'
complete -c ssmgate -n "__ssmgate_at documents" -l region -x -a '(__ssmgate_values regions)' -d 'The AWS region'
complete -c ssmgate -n "__ssmgate_at documents" -l color -x -a 'on off auto' -d 'Turn on/off color output'
complete -c ssmgate -n "__ssmgate_at documents" -l ca-bundle -r -F -d 'The CA certificate bundle to use when verifying SSL certificates'
complete -c ssmgate -n "__ssmgate_at documents" -l cli-read-timeout -x -d 'The maximum socket read time in seconds'
complete -c ssmgate -n "__ssmgate_at documents" -l cli-connect-timeout -x -d 'The maximum socket connect time in seconds'
complete -c ssmgate -n "__ssmgate_at documents" -l cli-binary-format -x -a 'base64 raw-in-base64-out' -d 'How binary values are given'
complete -c ssmgate -n "__ssmgate_at documents" -l no-cli-pager -d 'No pager for output'
complete -c ssmgate -n "__ssmgate_at documents" -l no-cli-auto-prompt -d 'No prompt for parameters'
complete -c ssmgate -n "__ssmgate_at documents" -l cli-error-format -x -a 'legacy json yaml text table enhanced' -d 'The look of errors'
complete -c ssmgate -n "__ssmgate_at documents" -l version -d 'Display the version of this tool'
complete -c ssmgate -n "__ssmgate_at ''" -a documents -d 'List the session documents that you may use'
complete -c ssmgate -n "__ssmgate_at help" -l help -s h -d 'Show this message and exit'
complete -c ssmgate -n "__ssmgate_at help" -a 'cache check config daemon doctor documents help init login policy records sandbox ssh-config start-session'
complete -c ssmgate -n "__ssmgate_at ''" -a help -d 'Show the help of a verb'
complete -c ssmgate -n "__ssmgate_at init" -l function -d 'Define a shell function instead of changing PATH'
complete -c ssmgate -n "__ssmgate_at init" -l check -d 'Check whether this shell runs ssmgate as aws'
complete -c ssmgate -n "__ssmgate_at init" -l help -s h -d 'Show this message and exit'
complete -c ssmgate -n "__ssmgate_at init" -a 'bash zsh fish'
complete -c ssmgate -n "__ssmgate_at ''" -a init -d 'Print shell code that makes aws run ssmgate'
complete -c ssmgate -n "__ssmgate_at login" -l help -s h -d 'Show this message and exit'
complete -c ssmgate -n "__ssmgate_at ''" -a login -d 'Run the login of a user on a bastion host'
complete -c ssmgate -n "__ssmgate_at policy" -l help -s h -d 'Show this message and exit'
complete -c ssmgate -n "__ssmgate_at policy" -l from -x -d 'A file or directory; may be given again'
complete -c ssmgate -n "__ssmgate_at policy" -l who -d 'Who may start --document-name, and why'
complete -c ssmgate -n "__ssmgate_at policy" -l document-name -x -a '(__ssmgate_values documents)' -d 'Another document; may be given again'
complete -c ssmgate -n "__ssmgate_at policy" -l target -x -a '(__ssmgate_values targets)' -d 'The managed node'
complete -c ssmgate -n "__ssmgate_at policy" -l tag -x -d 'A tag of the node for --who'
complete -c ssmgate -n "__ssmgate_at policy" -l what -x -d 'What this user or role may start'
complete -c ssmgate -n "__ssmgate_at policy" -l unbound -d 'Only principals that are unbound, or may be'
complete -c ssmgate -n "__ssmgate_at policy" -l assert -x -d 'Rules in TOML that must hold'
complete -c ssmgate -n "__ssmgate_at policy" -l documents -x -d 'Output of list-documents'
complete -c ssmgate -n "__ssmgate_at policy" -l nodes -x -d 'Output of describe-instance-information'
complete -c ssmgate -n "__ssmgate_at policy" -l document-content -x -d 'Output of get-document: adds SG003 and SG014'
complete -c ssmgate -n "__ssmgate_at policy" -l organization -x -d 'Service control policies, in TOML'
complete -c ssmgate -n "__ssmgate_at policy" -l region -x -a '(__ssmgate_values regions)' -d 'The region of the nodes'
complete -c ssmgate -n "__ssmgate_at policy" -l output -x -a 'text json sarif github' -d 'The format'
complete -c ssmgate -n "__ssmgate_at policy" -l confirm -x -d 'Simulate in IAM the N principals with the most access; not with --from'
complete -c ssmgate -n "__ssmgate_at policy" -l profile -x -a '(__ssmgate_values profiles)' -d 'The AWS profile'
complete -c ssmgate -n "__ssmgate_at policy" -l redact -d 'replace account IDs and names with placeholders'
complete -c ssmgate -n "__ssmgate_at policy" -l caller -x -d 'the caller: an IAM user or role; required'
complete -c ssmgate -n "__ssmgate_at policy" -l boundary -r -F -d 'the permissions boundary of the caller'
complete -c ssmgate -n "__ssmgate_at policy" -l scp -r -F -d 'a service control policy; may be given again'
complete -c ssmgate -n "__ssmgate_at policy" -l scp-level -d 'begin the next lower level; the first is the root'
complete -c ssmgate -n "__ssmgate_at policy" -l context -x -d 'a condition key; may be given again'
complete -c ssmgate -n "__ssmgate_at policy" -l document-context -x -d 'the same, for the document only'
complete -c ssmgate -n "__ssmgate_at policy" -l aws -d 'evaluate with iam:SimulateCustomPolicy'
complete -c ssmgate -n "__ssmgate_at policy" -l explain -d 'show statements, missing keys and near misses'
complete -c ssmgate -n "__ssmgate_at policy" -l request -d 'print a request to your administrator'
complete -c ssmgate -n "__ssmgate_at policy" -l quiet -s q -d 'print nothing: the exit status is the answer'
complete -c ssmgate -n "__ssmgate_at policy" -l fail-on-unenforced -d 'exit 3 if AWS may not check the document'
complete -c ssmgate -n "__ssmgate_at policy" -l reason -x -d 'The reason for connecting to the instance'
complete -c ssmgate -n "__ssmgate_at policy" -l parameters -x -d 'The session document\'s parameters'
complete -c ssmgate -n "__ssmgate_at policy" -l cli-input-json -x -d 'The request as JSON'
complete -c ssmgate -n "__ssmgate_at policy" -l cli-input-yaml -x -d 'The request as YAML'
complete -c ssmgate -n "__ssmgate_at policy" -l generate-cli-skeleton -x -a 'input output yaml-input' -d 'Print a request to fill in'
complete -c ssmgate -n "__ssmgate_at policy" -l debug -d 'Turn on debug logging'
complete -c ssmgate -n "__ssmgate_at policy" -l endpoint-url -x -d 'Where Session Manager is'
complete -c ssmgate -n "__ssmgate_at policy" -l no-verify-ssl -d 'Do not verify TLS certificates'
complete -c ssmgate -n "__ssmgate_at policy" -l no-paginate -d 'Disable automatic pagination'
complete -c ssmgate -n "__ssmgate_at policy" -l query -x -d 'A JMESPath query to use in filtering the response data'
complete -c ssmgate -n "__ssmgate_at policy" -l color -x -a 'on off auto' -d 'Turn on/off color output'
complete -c ssmgate -n "__ssmgate_at policy" -l ca-bundle -r -F -d 'The CA certificate bundle to use when verifying SSL certificates'
complete -c ssmgate -n "__ssmgate_at policy" -l cli-read-timeout -x -d 'The maximum socket read time in seconds'
complete -c ssmgate -n "__ssmgate_at policy" -l cli-connect-timeout -x -d 'The maximum socket connect time in seconds'
complete -c ssmgate -n "__ssmgate_at policy" -l cli-binary-format -x -a 'base64 raw-in-base64-out' -d 'How binary values are given'
complete -c ssmgate -n "__ssmgate_at policy" -l no-cli-pager -d 'No pager for output'
complete -c ssmgate -n "__ssmgate_at policy" -l no-cli-auto-prompt -d 'No prompt for parameters'
complete -c ssmgate -n "__ssmgate_at policy" -l cli-error-format -x -a 'legacy json yaml text table enhanced' -d 'The look of errors'
complete -c ssmgate -n "__ssmgate_at policy" -l version -d 'Display the version of this tool'
complete -c ssmgate -n "__ssmgate_at policy" -l select -x -d 'Only these findings: SG001,SG002'
complete -c ssmgate -n "__ssmgate_at policy" -l ignore -x -d 'All but these findings'
complete -c ssmgate -n "__ssmgate_at policy" -l fail-on -x -a 'note low medium high' -d 'The least severity that exits with 3'
complete -c ssmgate -n "__ssmgate_at policy" -l baseline -x -d 'Leave out the findings in FILE'
complete -c ssmgate -n "__ssmgate_at policy" -l write-baseline -x -d 'Write the findings to FILE, and exit'
complete -c ssmgate -n "__ssmgate_at policy" -l account -x -d 'The account ID, 12 digits'
complete -c ssmgate -n "__ssmgate_at policy" -l partition -x -d 'aws, aws-cn or aws-us-gov'
complete -c ssmgate -n "__ssmgate_at policy" -l role -x -d 'For bastion-person: the role of the user'
complete -c ssmgate -n "__ssmgate_at policy" -l format -x -a 'json terraform' -d 'The format'
complete -c ssmgate -n "__ssmgate_at policy" -l junit -x -d 'Write the results as JUnit XML, too'
complete -c ssmgate -n "__ssmgate_at policy" -l write -d 'Write the current answers of POLICY'
complete -c ssmgate -n "__ssmgate_at policy" -a 'audit check lint print test'
complete -c ssmgate -n "__ssmgate_at ''" -a policy -d 'Check policy files before you deploy them, and audit accounts'
complete -c ssmgate -n "__ssmgate_at records" -l help -s h -d 'Show this message and exit'
complete -c ssmgate -n "__ssmgate_at records" -l head -x -d 'A head that was stored elsewhere'
complete -c ssmgate -n "__ssmgate_at records" -l output -x -a 'text json' -d 'The format'
complete -c ssmgate -n "__ssmgate_at records" -l since -x -d 'A time, or how long ago: 8h, 7d'
complete -c ssmgate -n "__ssmgate_at records" -l user -x -d 'A unix user, or a caller\'s ARN or the end of it'
complete -c ssmgate -n "__ssmgate_at records" -l document -x -d 'The name or the ARN of a session document'
complete -c ssmgate -n "__ssmgate_at records" -l denied -d 'Decisions that deny, or are unknown'
complete -c ssmgate -n "__ssmgate_at records" -l session -x -d 'One session, with its decision'
complete -c ssmgate -n "__ssmgate_at records" -l follow -d 'Wait for more records of one FILE'
complete -c ssmgate -n "__ssmgate_at records" -l cloudtrail -x -d 'Events of CloudTrail; may be given again'
complete -c ssmgate -n "__ssmgate_at records" -a 'catalog join show stats verify'
complete -c ssmgate -n "__ssmgate_at ''" -a records -d 'Read the records of decisions and sessions'
complete -c ssmgate -n "__ssmgate_at sandbox" -l as -x -d 'The user or role whose credentials COMMAND gets'
complete -c ssmgate -n "__ssmgate_at sandbox" -l seed -r -F -d 'A TOML file to use instead of the included fixture'
complete -c ssmgate -n "__ssmgate_at sandbox" -l session-document-model -x -a '2021 2023 2025' -d 'The published behaviour of StartSession, by year'
complete -c ssmgate -n "__ssmgate_at sandbox" -l session-logs -r -F -d 'The directory for logs of sessions whose document logs to S3 or CloudWatch'
complete -c ssmgate -n "__ssmgate_at sandbox" -l port -x -d 'The port to listen on'
complete -c ssmgate -n "__ssmgate_at sandbox" -l help -s h -d 'Show this message and exit'
complete -c ssmgate -n "__ssmgate_at sandbox" -a 'env'
complete -c ssmgate -n "__ssmgate_at ''" -a sandbox -d 'Run a local AWS that enforces permissions'
complete -c ssmgate -n "__ssmgate_at ssh-config" -l host -x -d 'The hosts of the block; may be given again'
complete -c ssmgate -n "__ssmgate_at ssh-config" -l user -x -d 'The user on the node'
complete -c ssmgate -n "__ssmgate_at ssh-config" -l profile -x -a '(__ssmgate_values profiles)' -d 'The AWS profile to use'
complete -c ssmgate -n "__ssmgate_at ssh-config" -l region -x -a '(__ssmgate_values regions)' -d 'The AWS region to use'
complete -c ssmgate -n "__ssmgate_at ssh-config" -l help -s h -d 'Show this message and exit'
complete -c ssmgate -n "__ssmgate_at ''" -a ssh-config -d 'Print the Host block for ~/.ssh/config'
__ssmgate_start_session ssmgate "__ssmgate_at start-session"
complete -c ssmgate -n "__ssmgate_at ''" -a start-session -d 'Start a session, like \'aws ssm start-session\''

complete -c ssmgate -n __ssmgate_sandboxed -a '(__ssmgate_sandboxed_words)'
__ssmgate_start_session ssm-start-session true

# What completes aws besides stays: fish adds up.
function __ssmgate_take_aws
    set -q __ssmgate_aws_taken
    and return
    set -g __ssmgate_aws_taken yes
    __ssmgate_start_session aws __ssmgate_aws
end
