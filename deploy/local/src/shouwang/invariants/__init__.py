"""What must hold over all stores and topics at once; `shouwang.verify` asks each part in turn."""
