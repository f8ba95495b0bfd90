"""What must hold over all stores and topics at once; `shouwang.commands.verify` asks each part in turn."""
