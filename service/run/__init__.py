"""`spanledger run`: any command as a task, with its tries recorded as attempts."""
