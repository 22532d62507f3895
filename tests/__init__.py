"""The tests of aqm: folders mirror the package, and nothing but the vendors' APIs is ever faked."""
