"""Pure decisions about money: positions and postings, dues, recovery, payment."""
