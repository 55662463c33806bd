"""The audit log: what was done in an owner's name, and to what is theirs."""
