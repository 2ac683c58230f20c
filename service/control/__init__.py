"""The control sockets: what a role can be asked, and how."""
