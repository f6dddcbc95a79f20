"""Originals in object stores: each store makes and signs requests, which `imgforge.sources.http` sends."""

from imgforge.sources.stores.azure import AzureFactory
from imgforge.sources.stores.gcs import GcsFactory
from imgforge.sources.stores.s3 import S3Factory
from imgforge.sources.stores.start_checks import store_mistakes
from imgforge.sources.stores.swift import SwiftFactory

__all__ = ["AzureFactory", "GcsFactory", "S3Factory", "SwiftFactory", "store_mistakes"]
