"""The invariants over all stores and topics; `shouwang.commands.verify` checks each."""
