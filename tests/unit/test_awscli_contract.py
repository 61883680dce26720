"""Each private part of awscli and of its botocore on which ssmgate depends.

When a new awscli breaks ssmgate, a row here shows which part is gone or has changed.
"""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from typing import Any

import pytest

from ssmgate.gate import aws  # first: it decides whose botocore is seen
from ssmgate.gate.aws import late

SIGNATURES = {
    # The parser's seam.
    "awscli.clidriver:CLIDriver.__init__": "(self, session=None)",
    "awscli.clidriver:CLIDriver._get_command_table": "(self)",
    "awscli.clidriver:CLIDriver._get_argument_table": "(self)",
    "awscli.clidriver:CLIDriver._build_builtin_commands": "(self, session)",
    "awscli.clidriver:CLIDriver._create_parser": "(self, command_table)",
    "awscli.clidriver:CLIDriver._handle_top_level_args": "(self, args, remaining)",
    "awscli.clidriver:CLIDriver._emit_session_event": "(self, parsed_args)",
    "awscli.clidriver:CLIDriver.create_help_command": "(self)",
    "awscli.clidriver:ServiceCommand.__init__": "(self, cli_name, session, service_name=None)",
    "awscli.clidriver:ServiceCommand.__call__": "(self, args, parsed_globals)",
    "awscli.clidriver:ServiceCommand._create_command_table": "(self)",
    "awscli.clidriver:ServiceCommand._create_parser": "(self)",
    "awscli.clidriver:ServiceCommand._get_command_table": "(self)",
    "awscli.clidriver:ServiceCommand._get_service_model": "(self)",
    "awscli.clidriver:ServiceCommand._add_lineage": "(self, command_table)",
    "awscli.clidriver:ServiceOperation.__init__": (
        "(self, name, parent_name, operation_caller, operation_model, session)"
    ),
    "awscli.clidriver:ServiceOperation.__call__": "(self, args, parsed_globals)",
    "awscli.clidriver:ServiceOperation._create_operation_parser": "(self, arg_table)",
    "awscli.clidriver:ServiceOperation._detect_binary_file_migration_change": (
        "(self, session, parsed_args, parsed_globals, arg_table)"
    ),
    "awscli.clidriver:CLIOperationCaller.invoke": (
        "(self, service_name, operation_name, parameters, parsed_globals)"
    ),
    "awscli.argparser:MainArgParser.__init__": (
        "(self, command_table, version_string, description, argument_table, prog=None)"
    ),
    "awscli.argparser:ServiceArgParser.__init__": "(self, operations_table, service_name)",
    "awscli.argparser:ArgTableArgParser.__init__": "(self, argument_table, command_table=None)",
    "awscli.argparser:CLIArgParser._check_value": "(self, action, value)",
    "awscli.argparser:CLIArgParser.parse_known_args": "(self, args, namespace=None)",
    # Help.
    "awscli.help:PosixHelpRenderer._convert_doc_content": "(self, contents)",
    "awscli.help:WindowsHelpRenderer._convert_doc_content": "(self, contents)",
    # Aliases.
    "awscli.clidriver:CLIDriver._add_aliases": "(self, command_table, parser)",
    "awscli.alias:AliasLoader.get_aliases": "(self)",
    "awscli.alias:ServiceAliasCommand.__init__": (
        "(self, alias_name, alias_value, session, command_table, parser, shadow_proxy_command=None)"
    ),
    "awscli.alias:ServiceAliasCommand.__call__": "(self, args, parsed_globals)",
    "awscli.alias:ServiceAliasCommand._get_alias_args": "(self)",
    "awscli.alias:ServiceAliasCommand._update_parsed_globals": (
        "(self, parsed_alias_args, parsed_globals, remaining)"
    ),
    "awscli.alias:ExternalAliasCommand.__call__": "(self, args, parsed_globals)",
    # The extension points.
    "awscli.argprocess:ParamShorthandParser.__call__": (
        "(self, cli_argument, value, event_name, **kwargs)"
    ),
    "awscli.paramfile:URIArgumentHandler.__init__": "(self, prefixes=None)",
    "awscli.paramfile:get_paramfile": "(path, cases)",
    "awscli.paramfile:get_file": "(prefix, path, mode)",
    "awscli.customizations.globalargs:resolve_types": "(parsed_args, **kwargs)",
    "awscli.customizations.globalargs:no_sign_request": "(parsed_args, session, **kwargs)",
    "awscli.customizations.globalargs:resolve_verify_ssl": "(parsed_args, session, **kwargs)",
    "awscli.customizations.globalargs:resolve_cli_read_timeout": "(parsed_args, session, **kwargs)",
    "awscli.customizations.globalargs:resolve_cli_connect_timeout": (
        "(parsed_args, session, **kwargs)"
    ),
    "awscli.customizations.cliinputjson:CliInputJSONArgument.add_to_call_parameters": (
        "(self, call_parameters, parsed_args, parsed_globals, **kwargs)"
    ),
    "awscli.customizations.cliinputjson:CliInputJSONArgument._update_call_parameters": (
        "(self, call_parameters, input_data)"
    ),
    "awscli.customizations.generatecliskeleton:GenerateCliSkeletonArgument"
    ".generate_json_skeleton": ("(self, call_parameters, parsed_args, parsed_globals, **kwargs)"),
    "awscli.customizations.generatecliskeleton:StubbedCLIOperationCaller.invoke": (
        "(self, service_name, operation_name, parameters, parsed_globals)"
    ),
    "awscli.customizations.generatecliskeleton:StubbedCLIOperationCaller._display_response": (
        "(self, command_name, response, parsed_globals)"
    ),
    "awscli.help:PosixHelpRenderer._send_output_to_pager": "(self, output)",
    "awscli.help:PosixHelpRenderer._exists_on_path": "(self, name)",
    "awscli.help:PosixHelpRenderer.get_pager_cmdline": "(self)",
    "awscli.formatter:TableFormatter.__call__": "(self, command_name, response, stream=None)",
    "awscli.customizations.addexamples:add_examples": "(help_command, **kwargs)",
    # Unregistered, as it would hand over parsed policies without their text.
    "botocore.handlers:json_decode_policies": "(parsed, model, **kwargs)",
    # botocore's.
    "botocore.session:Session.__init__": (
        "(self, session_vars=None, event_hooks=None, include_builtin_handlers=True, profile=None)"
    ),
    # Another setting would be another thing in which two connections may differ.
    "botocore.httpsession:URLLib3Session.__init__": (
        "(self, verify=True, proxies=None, timeout=None, max_pool_connections=10,"
        " socket_options=None, client_cert=None, proxies_config=None)"
    ),
    "botocore.httpsession:URLLib3Session._get_connection_manager": "(self, url, proxy_url=None)",
    "botocore.httpsession:URLLib3Session._setup_ssl_cert": "(self, conn, url, verify)",
    "botocore.httpsession:ProxyConfiguration.proxy_url_for": "(self, url)",
    "botocore.loaders:Loader.__init__": (
        "(self, extra_search_paths=None, file_loader=None, cache=None,"
        " include_default_search_paths=True, include_default_extras=True)"
    ),
    "botocore.loaders:Loader.load_data_with_path": "(self, *args, **kwargs)",  # cached
    "botocore.loaders:Loader.load_service_model": "(self, *args, **kwargs)",  # cached
    "botocore.loaders:Loader.list_available_services": "(self, *args, **kwargs)",  # cached
    "botocore.credentials:CredentialResolver.get_provider": "(self, name)",
    "botocore.utils:IMDSRegionProvider.__init__": "(self, session, environ=None, fetcher=None)",
    "botocore.validate:ParamValidator.validate": "(self, params, shape)",
}


def find(path: str) -> Any:
    module, _, names = path.partition(":")
    thing: Any = importlib.import_module(module)
    for name in names.split("."):
        thing = getattr(thing, name)
    return thing


@pytest.mark.parametrize("path", SIGNATURES)
def test_signatures_are_unchanged(path: str) -> None:
    thing = find(path)

    assert "/awscli/" in inspect.getfile(thing)
    assert str(inspect.signature(thing)) == SIGNATURES[path]


@pytest.mark.parametrize(
    "path",
    [
        "awscli:EnvironmentVariables",
        "awscli.paramfile:LOCAL_PREFIX_MAP",
        "awscli.paramfile:ResourceLoadingError",
        "awscli.customizations.assumerole:CACHE_DIR",
        "awscli.customizations.cliinputjson:CliInputJSONArgument.ARG_DATA",
        "awscli.customizations.generatecliskeleton:GenerateCliSkeletonArgument.ARG_DATA",
        "awscli.argprocess:ParamError",
        "awscli.argprocess:ParamSyntaxError",
        "awscli.arguments:UnknownArgumentError",
        "awscli.arguments:CustomArgument",
        "botocore.configprovider:ChainProvider",
        "botocore.configprovider:EnvironmentProvider",
        "botocore.configprovider:InstanceVarProvider",
        "botocore.configprovider:ScopedConfigProvider",
        "botocore.handlers:BUILTIN_HANDLERS",
        "botocore.handlers:REGISTER_FIRST",
        "botocore.handlers:REGISTER_LAST",
        "botocore.utils:JSONFileCache",
    ],
)
def test_attributes_exist(path: str) -> None:
    assert find(path) is not None


def test_alias_objects_have_expected_attributes() -> None:
    from awscli.alias import AliasLoader, ExternalAliasCommand, ServiceAliasCommand

    assert list(inspect.signature(AliasLoader).parameters) == ["alias_filename"]
    loader = AliasLoader("/no/such/file")
    assert loader.get_aliases() == {}
    assert loader._aliases == {"toplevel": {}}
    plain = ServiceAliasCommand("a", "s3", None, {}, None)
    assert plain._shadow_proxy_command is None
    assert ExternalAliasCommand("a", "!b", invoker=len)._invoker is len


def test_loads_shorthand_parser_only_when_needed() -> None:
    code = (
        "import sys\n"
        "from ssmgate.gate.argv.parse import read\n"
        "def loaded(): return hasattr(sys.modules['awscli.shorthand'], '__file__')\n"
        "read(['ssm', 'start-session', '--target', 'i-1'])\n"
        "before = loaded()\n"
        "line = read(['ssm', 'start-session', '--target', 'i-1', '--parameters', 'a=b,c'])\n"
        "print(before, loaded(), dict(line.request.parameters))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    at_once = aws.AWSCLI_VERSION != late.RELEASE
    assert ran.stdout == f"{at_once} True {{'a': ('b', 'c')}}\n"


def test_shorthand_parser_has_expected_structure() -> None:
    from awscli.argprocess import ParamShorthandParser

    assert vars(ParamShorthandParser()).keys() == {"_parser", "_visitor"}


def test_refreshable_credentials_have_expiry() -> None:
    assert "_expiry_time" in inspect.getsource(find("botocore.credentials:RefreshableCredentials"))


def test_events_have_former_names() -> None:
    from ssmgate.gate.aws.session import MfaPrompt, new_session

    assert new_session(MfaPrompt()).get_component("event_emitter")._event_aliases == {}
    assert find("botocore.hooks:EVENT_ALIASES")


def test_client_has_expected_connection_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    from ssmgate.gate.aws.session import MfaPrompt, new_session

    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    keys = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "secret"}
    client = new_session(MfaPrompt()).create_client("sts", region_name="us-east-1", **keys)
    http = client._endpoint.http_session
    pool = http._get_connection_manager("http://aws.invalid").connection_from_url(
        "http://aws.invalid"
    )

    assert http._verify is True
    assert http._cert_file is http._key_file is None
    assert repr(http._timeout) == "Timeout(connect=60, read=60, total=None)"
    assert (http._max_pool_connections, http._socket_options) == (10, [(6, 1, 1)])
    assert (http._proxy_config._proxies, http._proxy_config._proxies_settings) == ({}, {})
    assert http._proxy_config.proxy_url_for("http://aws.invalid") is None
    assert "load_verify_locations" not in vars(http._manager.connection_pool_kw["ssl_context"])
    assert str(inspect.signature(pool._get_conn)) == (
        "(timeout: 'float | None' = None) -> 'BaseHTTPConnection'"
    )
    assert str(inspect.signature(pool._put_conn)) == (
        "(conn: 'BaseHTTPConnection | None') -> 'None'"
    )
    assert pool.timeout.connect_timeout == 60
    assert pool._get_conn().sock is None


def test_start_session_has_exactly_four_members() -> None:
    from ssmgate.gate.aws.session import MfaPrompt, new_session
    from ssmgate.gate.decision.request import MEMBERS

    model = new_session(MfaPrompt()).get_service_model("ssm").operation_model("StartSession")

    assert tuple(model.input_shape.members) == MEMBERS


@pytest.mark.parametrize("name", ["assume-role", "assume-role-with-web-identity", "sso"])
def test_credential_providers_have_cache(name: str) -> None:
    from ssmgate.gate.aws.session import MfaPrompt, new_session

    provider = new_session(MfaPrompt()).get_component("credential_provider").get_provider(name)

    assert hasattr(provider, "cache")
    assert name != "assume-role" or hasattr(provider, "_prompter")


def test_assumed_role_has_fetcher_and_source() -> None:
    """What `gate.aws.assumed_role` reads. That it works is tested there."""
    from botocore.credentials import (
        AssumeRoleCredentialFetcher,
        DeferredRefreshableCredentials,
        create_mfa_serial_refresher,
    )

    fetcher = AssumeRoleCredentialFetcher(None, "source", "arn:aws:iam::111122223333:role/r")
    credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")

    assert credentials._refresh_using.__self__ is fetcher
    assert fetcher._source_credentials == "source"
    assert fetcher._assume_kwargs.keys() == {"RoleArn", "RoleSessionName"}
    assert credentials._expiry_time is None
    assert create_mfa_serial_refresher(fetcher.fetch_credentials)._refresh.__self__ is fetcher
