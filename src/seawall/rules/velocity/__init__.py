"""Rules of Velocity that Drift does not have, or has otherwise (there under the same name in ``rules.drift``)."""
