"""Pure decisions about money: accounts, dues, ledger entries, payments, recoveries."""
