package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"hash/crc32"
	"math/big"
	"strings"
)

const (
	tokenPrefix  = "wsk_"
	alphabet     = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	randomLength = 32
	checkLength  = 6
	tokenLength  = len(tokenPrefix) + randomLength + 1 + checkLength
	// visibleLength is how much of a token of ours is shown, and visibleForeign how
	// much of one that an operator has chosen and that may be less random.
	visibleLength  = len(tokenPrefix) + 6
	visibleForeign = 4
)

// NewSecret makes a token.
func NewSecret() (string, error) {
	var b strings.Builder
	b.WriteString(tokenPrefix)
	for range randomLength {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(alphabet))))
		if err != nil {
			return "", fmt.Errorf("make token: %w", err)
		}
		b.WriteByte(alphabet[n.Int64()])
	}
	return b.String() + "_" + checksum(b.String()), nil
}

// checksum is the CRC-32 of a token's first part in base 62, most significant digit first.
func checksum(s string) string {
	sum := crc32.ChecksumIEEE([]byte(s))
	digits := make([]byte, checkLength)
	for k := range digits {
		digits[checkLength-1-k] = alphabet[sum%uint32(len(alphabet))]
		sum /= uint32(len(alphabet))
	}
	return string(digits)
}

// WellFormed reports whether a string is a token by its form and checksum.
func WellFormed(secret string) bool {
	if len(secret) != tokenLength || !strings.HasPrefix(secret, tokenPrefix) {
		return false
	}
	body, sum := secret[:tokenLength-checkLength-1], secret[tokenLength-checkLength-1:]
	return subtle.ConstantTimeCompare([]byte("_"+checksum(body)), []byte(sum)) == 1
}

// Hash is what is stored of a token.
func Hash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// visible is the part of a token by which people recognise it.
func visible(secret string) string {
	if WellFormed(secret) {
		return secret[:visibleLength]
	}
	return secret[:min(visibleForeign, len(secret))]
}
