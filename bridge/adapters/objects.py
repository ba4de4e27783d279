"""Objects in S3: raw files in, reports out. Takes a boto3 client, wherever it came from."""

from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from bridge.contracts.failures import Code, Refused, Unavailable

MISSING = {"404", "NoSuchKey", "NoSuchBucket", "NotFound"}


@dataclass(frozen=True, slots=True)
class S3Address:
    """Where S3 is. Without ``endpoint`` it is AWS; without keys the default credential chain is used."""

    endpoint: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    region: str = "us-east-1"

    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(retries={"max_attempts": 3}, connect_timeout=5, read_timeout=30),
        )

    def iceberg_properties(self) -> dict[str, str]:
        given = {
            "s3.endpoint": self.endpoint,
            "s3.access-key-id": self.access_key,
            "s3.secret-access-key": self.secret_key,
            "s3.region": self.region,
        }
        return {name: value for name, value in given.items() if value}


class Objects:
    """Buckets and keys; raises ``Refused(RAW_FILE_MISSING)`` for what is not there, else ``Unavailable``."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def get(self, bucket: str, key: str) -> bytes:
        try:
            body: bytes = self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except (ClientError, BotoCoreError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] in MISSING:
                problem = f"no object s3://{bucket}/{key}; was the day delivered?"
                raise Refused(Code.RAW_FILE_MISSING, problem) from error
            raise Unavailable(f"S3 did not give s3://{bucket}/{key}: {error}") from error
        return body

    def put(self, bucket: str, key: str, body: bytes, *, content_type: str) -> None:
        try:
            self._client.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)
        except (ClientError, BotoCoreError) as error:
            raise Unavailable(f"S3 did not store s3://{bucket}/{key}: {error}") from error

    def keys(self, bucket: str, prefix: str) -> list[str]:
        try:
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            return [item["Key"] for page in pages for item in page.get("Contents", ())]
        except (ClientError, BotoCoreError) as error:
            raise Unavailable(f"S3 did not list s3://{bucket}/{prefix}: {error}") from error

    def ensure_buckets(self, buckets: tuple[str, ...]) -> None:
        try:
            there = {bucket["Name"] for bucket in self._client.list_buckets()["Buckets"]}
            for bucket in buckets:
                if bucket not in there:
                    self._client.create_bucket(Bucket=bucket)
        except (ClientError, BotoCoreError) as error:
            raise Unavailable(f"S3 did not create buckets {buckets}: {error}") from error
