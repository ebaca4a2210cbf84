# SPDX-License-Identifier: Apache-2.0
"""aws/template.yaml: the linter's judgement, and what must hold of it whatever the parameters are."""
import copy
import json
import os
import re

import pytest
import yaml

from harness import cloud, stack
from harness.process import run
from harness.stack import ACCOUNT, REGION, Stack, load

TEMPLATE = os.path.join(cloud.TOP, "aws", "template.yaml")
PAGE = os.path.join(cloud.TOP, "aws", "README.md")
URL = "https://keys.example.com/speke"
ROUTES = {
    ("POST", "/copyProtection"),
    ("POST", "/v1.0/copyProtection"),
    ("GET", "/v1.0/heartbeat"),
    ("POST", "/v2.0/copyProtection"),
    ("POST", "/v2.1/copyProtection"),
}
SERVICES = {
    "MediaPackage": "mediapackage.amazonaws.com",
    "MediaPackageV2": "mediapackagev2.amazonaws.com",
    "MediaConvert": "mediaconvert.amazonaws.com",
    "MediaLive": "medialive.amazonaws.com",
}
CALLER = f"arn:aws:iam::{ACCOUNT}:role/try"
JOBS = f"arn:aws:iam::{ACCOUNT}:role/service-role/jobs"
CERTIFICATE = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/1234-abcd"
VARIANTS = {
    "as it comes": {},
    "header secret": {"Proof": "header-secret"},
    "another certificate": {"ClientCertificateId": "abc123"},
    "everything": {
        "Proof": "header-secret",
        "MediaLive": "yes",
        "JobRoleArn": JOBS,
        "TestCallerArn": CALLER,
        "AccountLogRole": "yes",
        "ContentKeyCertificateArn": CERTIFICATE,
    },
    "one service": {"MediaPackage": "no", "MediaConvert": "no", "SourceAccountCondition": "no"},
    "a caller alone": {
        "MediaPackage": "no",
        "MediaPackageV2": "no",
        "MediaConvert": "no",
        "TestCallerArn": CALLER,
    },
}
# What an access log line may hold: nothing of headers or bodies.
LOGGED = {
    "requestId", "requestTime", "identity.sourceIp", "identity.userArn", "httpMethod", "path",
    "status", "integration.status", "responseLatency", "error.messageString",
}  # fmt: skip


@pytest.fixture(params=VARIANTS, ids=lambda name: name.replace(" ", "-"))
def made(request):
    return Stack(load(TEMPLATE), "s" * 64, ProviderUrl=URL, **VARIANTS[request.param])


def statements(policy):
    assert policy["Version"] == "2012-10-17", "the policy language's version"
    return policy["Statement"]


def as_list(value):
    return value if isinstance(value, list) else [value]


def check_methods(made):
    routes = made.routes()
    assert set(routes) == ROUTES, f"methods: {set(routes) ^ ROUTES}"
    assert len(made.of_type("AWS::ApiGateway::Method")) == len(ROUTES), "two methods of one name"
    by_secret = made.parameters["Proof"] == "header-secret"
    for (verb, path), method in routes.items():
        assert method["AuthorizationType"] == "AWS_IAM", f"{verb} {path} asks for no signature"
        integration = method["Integration"]
        assert integration["Type"] == "HTTP_PROXY", f"{verb} {path}: {integration['Type']}"
        assert integration["IntegrationHttpMethod"] == verb, f"{verb} {path} becomes another method"
        assert integration["Uri"] == URL + path, f"{verb} {path} goes to {integration['Uri']}"
        assert integration.get("TimeoutInMillis", 0) <= 29000, f"{verb} {path}: API Gateway's limit"
        mapped = integration.get("RequestParameters", {})
        name = "integration.request.header.X-Speke-Gateway-Secret"
        assert mapped == ({name: f"'{'s' * 64}'"} if by_secret else {}), f"{verb} {path}: {mapped}"


def check_stage(made):
    ((_, stage_),) = made.of_type("AWS::ApiGateway::Stage").items()
    (settings,) = stage_["MethodSettings"]
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*"), "all methods"
    assert settings["DataTraceEnabled"] is False, "data trace writes documents into the log"
    assert settings["LoggingLevel"] == "OFF", "execution logs hold headers"
    assert settings["CachingEnabled"] is False, "answers must not be kept"
    assert float(settings["ThrottlingRateLimit"]) > 0, "no rate"
    assert float(settings["ThrottlingBurstLimit"]) > 0, "no burst"
    variables = set(re.findall(r"\$context\.([0-9A-Za-z.]+)", stage_["AccessLogSetting"]["Format"]))
    assert variables and variables <= LOGGED, f"logged: {variables - LOGGED}"
    by_certificate = made.parameters["Proof"] == "client-certificate"
    assert bool(stage_.get("ClientCertificateId")) == by_certificate, "the client certificate"


def check_callers(made):
    """The resource policy: these roles and these methods, and a denial for everybody else."""
    ((_, api),) = made.of_type("AWS::ApiGateway::RestApi").items()
    assert api["EndpointConfiguration"]["Types"] == ["REGIONAL"], "the endpoint"
    assert "BinaryMediaTypes" not in api, "documents would be handled as binary"
    allow, deny = statements(api["Policy"])
    callers = [made.outputs[f"{name}RoleArn"] for name in SERVICES if f"{name}RoleArn" in made.outputs]
    others = [made.parameters["JobRoleArn"], made.parameters["TestCallerArn"]]
    callers += [arn for arn in others if arn]
    assert callers and allow["Effect"] == "Allow" and allow["Principal"] == {"AWS": callers}, allow
    wanted = {f"execute-api:/speke/{verb}{path}" for verb, path in ROUTES}
    assert set(allow["Resource"]) == wanted, set(allow["Resource"]) ^ wanted
    assert deny["Effect"] == "Deny" and deny["Principal"] == "*", deny
    assert deny["Resource"] == "execute-api:/*", deny
    assert deny["Condition"] == {"StringNotEquals": {"aws:PrincipalArn": callers}}, deny


def check_roles(made):
    """Each service may assume its own role, for this account; the roles may ask, and nothing else."""
    roles = made.of_type("AWS::IAM::Role")
    log_role = roles.pop("LogRole", None)
    assert set(roles) == {f"{n}Role" for n in SERVICES if made.parameters[n] == "yes"}, set(roles)
    own = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    for name, role in roles.items():
        assert set(role) == {"AssumeRolePolicyDocument"}, f"{name} has more than its trust"
        (trust,) = statements(role["AssumeRolePolicyDocument"])
        service = SERVICES[name[: -len("Role")]]
        assert trust["Principal"] == {"Service": service}, f"{name} trusts {trust['Principal']}"
        assert (trust["Effect"], trust["Action"]) == ("Allow", "sts:AssumeRole"), name
        wanted = own if made.parameters["SourceAccountCondition"] == "yes" else None
        assert trust.get("Condition") == wanted, f"{name}: {trust.get('Condition')}"
    if log_role:
        (trust,) = statements(log_role["AssumeRolePolicyDocument"])
        assert trust["Principal"] == {"Service": "apigateway.amazonaws.com"}, "the role for logs"
    policies = made.of_type("AWS::IAM::Policy")
    assert set(policies) == ({"AskForKeys"} if roles else set()), set(policies)
    for policy in policies.values():
        (right,) = statements(policy["PolicyDocument"])
        assert right["Action"] == "execute-api:Invoke" and right["Effect"] == "Allow", right
        base = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:Api/speke"
        assert set(right["Resource"]) == {f"{base}/{verb}{path}" for verb, path in ROUTES}
        assert set(policy["Roles"]) == set(roles), policy["Roles"]


def check_rights(made):
    """No right in the template is wider than it has to be."""
    for name, policy in made.of_type("AWS::IAM::ManagedPolicy").items():
        for right in statements(policy["PolicyDocument"]):
            for action in as_list(right["Action"]):
                assert action in ("iam:PassRole", "acm:DescribeCertificate"), f"{name}: {action}"
            for resource in as_list(right["Resource"]):
                assert "*" not in resource, f"{name}: {resource}"
            if right["Action"] == "iam:PassRole":
                passed = right["Condition"]["StringEquals"]["iam:PassedToService"]
                assert set(passed) == set(SERVICES.values()), passed


CHECKS = [check_methods, check_stage, check_callers, check_roles, check_rights]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_what_must_hold(made, check):
    check(made)


def _method(template, **changes):
    template["Resources"]["PostCopyProtectionV20"]["Properties"].update(changes)


def _settings(template, **changes):
    template["Resources"]["Stage"]["Properties"]["MethodSettings"][0].update(changes)


def _role(template, principal):
    role = template["Resources"]["MediaConvertRole"]["Properties"]["AssumeRolePolicyDocument"]
    role["Statement"][0]["Principal"] = principal


def _policy(template, resource):
    policy = template["Resources"]["AskForKeys"]["Properties"]["PolicyDocument"]
    policy["Statement"][0]["Resource"] = resource


def _no_denial(template):
    del template["Resources"]["Api"]["Properties"]["Policy"]["Statement"][1]


SPOILT = {
    "no signature": (check_methods, lambda t: _method(t, AuthorizationType="NONE")),
    "any method": (check_methods, lambda t: _method(t, HttpMethod="ANY")),
    "data trace": (check_stage, lambda t: _settings(t, DataTraceEnabled=True)),
    "execution log": (check_stage, lambda t: _settings(t, LoggingLevel="INFO")),
    "a cache": (check_stage, lambda t: _settings(t, CachingEnabled=True)),
    "anybody may assume": (check_roles, lambda t: _role(t, {"AWS": "*"})),
    "every API": (check_roles, lambda t: _policy(t, "*")),
    "nobody denied": (check_callers, _no_denial),
}


@pytest.mark.parametrize("name", SPOILT, ids=lambda name: name.replace(" ", "-"))
def test_the_checks_can_fail(name):
    check, spoil = SPOILT[name]
    template = copy.deepcopy(load(TEMPLATE))
    spoil(template)
    with pytest.raises((AssertionError, ValueError)):
        check(Stack(template, "s" * 64, ProviderUrl=URL))


@pytest.mark.parametrize(
    "name,value",
    [
        ("ProviderUrl", "http://keys.example.com/speke"),
        ("ProviderUrl", "https://keys.example.com/speke/"),
        ("ProviderUrl", "https://keys.example.com/a b"),
        ("Proof", "none"),
        ("JobRoleArn", "*"),
        ("TestCallerArn", "*"),
        ("TestCallerArn", f"arn:aws:iam::{ACCOUNT}:root"),
        ("ThrottlingRate", "0"),
        ("ContentKeyCertificateArn", "arn:aws:acm:*"),
    ],
)
def test_parameters_that_are_refused(name, value):
    with pytest.raises(ValueError):
        Stack(load(TEMPLATE), **{"ProviderUrl": URL, name: value})


def test_what_waits_for_what():
    """The deployment, a picture of the methods, comes after all of them; names are there."""
    resources = load(TEMPLATE)["Resources"]
    kinds = {name: part["Type"] for name, part in resources.items()}
    for name, part in resources.items():
        for other in as_list(part.get("DependsOn", [])):
            assert other in resources, f"{name} depends on {other}, which there is not"
    methods = {name for name, kind in kinds.items() if kind == "AWS::ApiGateway::Method"}
    assert set(resources["Deployment"]["DependsOn"]) == methods, "the deployment misses methods"


def test_no_aliases():
    """CloudFormation does not know them; the loader of these tests must not either."""
    with pytest.raises(yaml.YAMLError):
        yaml.load("a: &x 1\nb: *x\n", stack._Loader)


def test_no_secret_in_the_template():
    """It is made by Secrets Manager, and is no parameter, no output and in no log."""
    template = load(TEMPLATE)
    made = Stack(template, "s" * 64, ProviderUrl=URL, Proof="header-secret")
    generate = made.resources["GatewaySecret"]["Properties"]["GenerateSecretString"]
    assert generate == {"PasswordLength": 64, "ExcludePunctuation": True}, generate
    assert "s" * 64 not in json.dumps(made.outputs), "an output holds the secret"
    holders = [name for name, part in made.resources.items() if "s" * 64 in json.dumps(part)]
    assert len(holders) == len(ROUTES), f"the secret is in {holders}"


def lint(path):
    program = os.path.join(cloud.node_modules(), "cfn-lint", "lib", "index.js")
    return run([cloud.NODE, program, "validate", path], check=False)


def resolved(made, path):
    """What the stack comes to, as a template: the linter knows functions in few places only."""
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"AWSTemplateFormatVersion": "2010-09-09", "Resources": made.resources}, out)
    return str(path)


def test_linter(made, tmp_path):
    done = lint(resolved(made, tmp_path / "template.json"))
    assert done.returncode == 0 and "Template valid" in done.stdout, done.stdout


def test_the_linter_can_fail(tmp_path):
    made = Stack(load(TEMPLATE), "s" * 64, ProviderUrl=URL)
    made.resources["Stage"]["Properties"]["Throtling"] = 1
    done = lint(resolved(made, tmp_path / "template.json"))
    assert done.returncode != 0 and "Throtling" in done.stdout, done.stdout


def test_the_page_names_every_parameter_and_output():
    with open(PAGE, encoding="utf-8") as page:
        text = page.read()
    template = load(TEMPLATE)
    names = [*template["Parameters"], *template["Outputs"]]
    missing = [name for name in names if f"`{name}`" not in text]
    assert not missing, f"aws/README.md does not name {missing}"
