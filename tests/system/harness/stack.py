# SPDX-License-Identifier: Apache-2.0
"""A CloudFormation template as the service would carry it out, as far as aws/template.yaml goes:
parameters checked, conditions decided, references resolved."""
import re

import yaml

ACCOUNT = "111122223333"
REGION = "eu-west-1"
PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Region": REGION,
    "AWS::Partition": "aws",
    "AWS::StackName": "speke",
    "AWS::URLSuffix": "amazonaws.com",
}
NOTHING = object()  # what AWS::NoValue leaves behind, until it is taken out


class _Loader(yaml.SafeLoader):
    """Short forms become long ones. CloudFormation knows no aliases, so they are refused."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"an alias, which CloudFormation does not know: {self.peek_event()}")
        return super().compose_node(parent, index)


def _short_form(loader, suffix, node):
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        return {name: value.split(".", 1) if suffix == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _short_form)


def load(path):
    with open(path, encoding="utf-8") as text:
        return yaml.load(text, _Loader)


class Stack:
    """resources: {logical name: {"Type", "Properties"}} of those whose condition holds. Attributes
    and physical names are made up; secrets has what the secrets of the stack resolve to."""

    def __init__(self, template, secret="", **parameters):
        self.template, self.secret = template, secret
        self.parameters = self._parameters(parameters)
        self.conditions = {}
        for name in template["Conditions"]:
            self.condition(name)
        self.resources = {}
        for name, resource in template["Resources"].items():
            if self._wanted(resource):
                self.resources[name] = {
                    "Type": resource["Type"],
                    "Properties": self.value(resource.get("Properties", {})),
                }
        self.outputs = {
            name: self.value(output["Value"])
            for name, output in template["Outputs"].items()
            if self._wanted(output)
        }

    def _parameters(self, given):
        known = self.template["Parameters"]
        assert not set(given) - set(known), f"no such parameter: {set(given) - set(known)}"
        values = {}
        for name, rule in known.items():
            assert name in given or "Default" in rule, f"parameter {name} is missing"
            value = values[name] = str(given.get(name, rule.get("Default")))
            pattern, allowed = rule.get("AllowedPattern"), rule.get("AllowedValues")
            if pattern and not re.fullmatch(pattern, value):
                raise ValueError(f"parameter {name}: {value!r} is not of the form {pattern}")
            if allowed and value not in map(str, allowed):
                raise ValueError(f"parameter {name}: {value!r} is none of {allowed}")
            if rule["Type"] == "Number" and float(value) < rule.get("MinValue", float("-inf")):
                raise ValueError(f"parameter {name}: {value} is too small")
        return values

    def _wanted(self, part):
        return "Condition" not in part or self.condition(part["Condition"])

    def condition(self, name):
        if name not in self.conditions:
            self.conditions[name] = self.value(self.template["Conditions"][name])
        return self.conditions[name]

    def value(self, part):
        """A part of the template with everything in it resolved."""
        if isinstance(part, list):
            values = [self.value(item) for item in part]
            return [value for value in values if value is not NOTHING]
        if not isinstance(part, dict):
            return self._dynamic(part) if isinstance(part, str) else part
        if len(part) == 1:
            ((name, argument),) = part.items()
            function = self.FUNCTIONS.get(name)
            if function and not (name == "Condition" and not isinstance(argument, str)):
                return function(self, argument)
        values = {name: self.value(item) for name, item in part.items()}
        return {name: value for name, value in values.items() if value is not NOTHING}

    def _dynamic(self, text):
        """What CloudFormation looks up in Secrets Manager while it makes a resource."""
        return re.sub(r"\{\{resolve:secretsmanager:[^}]*:SecretString\}\}", lambda _: self.secret, text)

    def _ref(self, name):
        if name == "AWS::NoValue":
            return NOTHING
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.parameters:
            return self.parameters[name]
        return self._resource(name)

    def _resource(self, name):
        resource = self.template["Resources"].get(name)
        assert resource, f"a reference to {name}, which there is not"
        assert self._wanted(resource), f"a reference to {name}, whose condition does not hold"
        if resource["Type"] == "AWS::SecretsManager::Secret":
            return f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}"
        return name

    def _get_att(self, argument):
        name, attribute = argument
        self._resource(name)
        kinds = {
            ("AWS::IAM::Role", "Arn"): f"arn:aws:iam::{ACCOUNT}:role/{name}",
            ("AWS::Logs::LogGroup", "Arn"): f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}",
            ("AWS::ApiGateway::RestApi", "RootResourceId"): "/",
        }
        return kinds[self.template["Resources"][name]["Type"], attribute]

    def _sub(self, text):
        def one(match):
            name = match.group(1)
            return self._get_att(name.split(".", 1)) if "." in name else str(self._ref(name))

        return self._dynamic(re.sub(r"\$\{([0-9A-Za-z:.]+)\}", one, text))

    def _if(self, argument):
        name, yes, no = argument
        return self.value(yes if self.condition(name) else no)

    FUNCTIONS = {
        "Ref": _ref,
        "Condition": condition,
        "Fn::GetAtt": _get_att,
        "Fn::Sub": _sub,
        "Fn::If": _if,
        "Fn::Equals": lambda self, pair: self.value(pair[0]) == self.value(pair[1]),
        "Fn::Not": lambda self, one: not self.value(one[0]),
        "Fn::And": lambda self, all_of: all([self.value(item) for item in all_of]),
        "Fn::Or": lambda self, any_of: any([self.value(item) for item in any_of]),
    }

    def of_type(self, kind):
        """{logical name: properties}."""
        return {
            name: resource["Properties"]
            for name, resource in self.resources.items()
            if resource["Type"] == kind
        }

    def path(self, resource):
        """The path of an API Gateway resource, below the stage."""
        if resource == "/":
            return ""
        properties = self.resources[resource]["Properties"]
        return self.path(properties["ParentId"]) + "/" + properties["PathPart"]

    def routes(self):
        """{(method, path below the stage): properties of the method}."""
        return {
            (method["HttpMethod"], self.path(method["ResourceId"])): method
            for method in self.of_type("AWS::ApiGateway::Method").values()
        }
