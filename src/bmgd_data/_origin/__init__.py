"""Where archives come from, and which archive is the right one."""
