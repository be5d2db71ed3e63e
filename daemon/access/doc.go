// Package access says who may do what: bearer tokens, the principals behind
// them, and the first administrator's token.
//
// A token is "wsk_", 32 random characters of the base-62 alphabet, "_", and six
// characters of checksum, so that a scanner can tell one from noise and a typo is
// refused without asking the database. Only its SHA-256 is stored: with 190 bits
// of randomness a slow hash would add nothing.
package access
