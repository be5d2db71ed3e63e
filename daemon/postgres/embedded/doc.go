// Package embedded runs a Postgres server of the daemon's own, from the programs
// that the machine has, in the daemon's data directory:
//
//	<data-dir>/postgres/lock        held while a daemon uses the server
//	<data-dir>/postgres/data        the database cluster
//	<data-dir>/postgres/run         the socket, 0700
//	<data-dir>/postgres/server.log  what the server says since its start
//
// The server listens on the socket alone. Whoever may enter the socket's
// directory may log in as anybody: the server's user and root.
//
// Postgres refuses to run as root, so that a daemon that runs as root starts it
// as the user postgres, or else nobody. Where that user may not pass through the
// directories above the data directory, such as /root, the server is handed its
// directories as open files and addresses them through /proc/self/fd.
//
// The server is in a session of its own: neither a terminal's Ctrl-C nor the end
// of the daemon, however sudden, ends it. The next daemon finds it and goes on
// with it. Stop ends it.
package embedded
