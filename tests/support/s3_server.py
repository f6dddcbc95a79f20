"""A real S3 server on loopback, with STS and IAM beside it: moto's, which verifies signatures and policies if asked."""

from __future__ import annotations

import http.client
import json
import logging
from typing import Any

import botocore.session
from botocore.config import Config
from moto.server import ThreadedMotoServer

from tests.support.loopback_server import DEADLINE

__all__ = ["ACCOUNT", "S3Server"]

ACCOUNT = "123456789012"  # moto's
_UNCHECKED = 1e12  # requests that moto lets pass unchecked

# moto logs every request.
logging.getLogger("werkzeug").setLevel(logging.ERROR)


class S3Server:
    """moto's server; nothing is checked until `check_access`. Each is empty, and only one of a process is in use."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.host = f"{host}:{port}"
        self.url = f"http://{self.host}"
        self._post("reset")
        self.stop_checking()
        self._session = botocore.session.Session()
        self._session.set_credentials("operator", "operators-secret")
        self.s3 = self.client("s3")

    def client(self, service: str, region: str = "us-east-1") -> Any:
        """A client of botocore for *service*."""
        path_style = Config(s3={"addressing_style": "path"})
        return self._session.create_client(service, region, endpoint_url=self.url, config=path_style)

    def put(self, bucket: str, key: str, body: bytes, **settings: Any) -> Any:
        """Store *body*; the bucket is made where there is none."""
        if bucket not in {each["Name"] for each in self.s3.list_buckets()["Buckets"]}:
            self.s3.create_bucket(Bucket=bucket)
        return self.s3.put_object(Bucket=bucket, Key=key, Body=body, **settings)

    def user(self, name: str, *statements: dict[str, Any]) -> dict[str, str]:
        """AWS' variables of a new user who may do what the *statements* of a policy say."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="images", PolicyDocument=_policy(*statements))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def role(self, name: str, *statements: dict[str, Any]) -> str:
        """The ARN of a new role that anybody may assume, and that may do what the *statements* say."""
        iam = self.client("iam")
        trust = _policy({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"})
        arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName="images", PolicyDocument=_policy(*statements))
        return arn

    def assume(self, role: str) -> dict[str, Any]:
        """Temporary credentials of *role*, as STS gives them."""
        answer: dict[str, Any] = self.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        return answer

    def check_access(self) -> None:
        """Verify signatures and policies from now on."""
        self._post("reset-auth", "0")

    def stop_checking(self) -> None:
        """Let all requests pass, as at first: moto cannot do otherwise with those to STS that have no signature."""
        self._post("reset-auth", str(_UNCHECKED))

    def close(self) -> None:
        self._server.stop()

    def _post(self, name: str, body: str = "") -> None:
        connection = http.client.HTTPConnection(self.host, timeout=DEADLINE)
        try:
            connection.request("POST", f"/moto-api/{name}", body)
            assert connection.getresponse().status == 200
        finally:
            connection.close()


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
