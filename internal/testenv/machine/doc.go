// Package machine makes a machine ready for wedsyncd's tests and demonstration:
// it finds the Docker Engine and Postgres, installs Debian's packages where they
// are missing, and starts processes that are ended again by exactly those who
// know their record, even from another process.
package machine
