"""Originals in object stores: each store makes and signs requests, which `imgforge.sources.http` sends."""
