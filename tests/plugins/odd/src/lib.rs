//! A plugin whose views misbehave on request; for tests.
