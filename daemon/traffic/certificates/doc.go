// Package certificates gets certificates for hosts by ACME (RFC 8555), and keeps
// them where every daemon on the same database finds them. It orders one when the
// first client asks for the host, and renews it when one asks late in its life.
//
// It is the only importer of certmagic. What the rest needs is declared by package
// traffic (Issuer), and what it needs of the database by Store.
package certificates
