package postgres

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/wedsync/terraform-provider-wedsync/daemon/fleet"
)

// sealVersion is the first byte of what is sealed, so that the form can change.
const sealVersion = 1

// SecretKeySize is the size of Config.SecretKey.
const SecretKeySize = 32

// sealer encrypts registry credentials and what belongs to certificates, with
// AES-256-GCM. Their place, such as the identifier of the definition, is
// authenticated with them, so that nobody can move them to another row.
type sealer struct{ aead cipher.AEAD }

func newSealer(key []byte) (*sealer, error) {
	if len(key) != SecretKeySize {
		return nil, fmt.Errorf("the secret key is %d bytes long; it must be %d random bytes", len(key), SecretKeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &sealer{aead: aead}, nil
}

func (s *sealer) seal(c *fleet.RegistryCredentials, definitionID string) ([]byte, error) {
	if c == nil {
		return nil, nil
	}
	plain, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode registry credentials: %w", err)
	}
	return s.sealBytes(plain, definitionID)
}

// sealBytes encrypts something for a place: only what is opened for the same opens.
func (s *sealer) sealBytes(plain []byte, place string) ([]byte, error) {
	sealed := make([]byte, 1+s.aead.NonceSize())
	sealed[0] = sealVersion
	if _, err := rand.Read(sealed[1:]); err != nil {
		return nil, fmt.Errorf("make nonce: %w", err)
	}
	return s.aead.Seal(sealed, sealed[1:], plain, []byte(place)), nil //nolint:gosec // the nonce has just been drawn
}

// openBytes undoes sealBytes; false when it was sealed with another key or for another place.
func (s *sealer) openBytes(sealed []byte, place string) ([]byte, bool) {
	if len(sealed) < 1+s.aead.NonceSize() || sealed[0] != sealVersion {
		return nil, false
	}
	nonce, box := sealed[1:1+s.aead.NonceSize()], sealed[1+s.aead.NonceSize():]
	plain, err := s.aead.Open(nil, nonce, box, []byte(place))
	return plain, err == nil
}

// overhead is how much longer something is when it is sealed.
func (s *sealer) overhead() int { return 1 + s.aead.NonceSize() + s.aead.Overhead() }

var errSealed = errors.New("open registry credentials: they were stored under another secret key; store them again")

func (s *sealer) open(sealed []byte, definitionID string) (*fleet.RegistryCredentials, error) {
	if sealed == nil {
		return nil, nil
	}
	plain, ok := s.openBytes(sealed, definitionID)
	if !ok {
		return nil, errSealed
	}
	var c fleet.RegistryCredentials
	if err := json.Unmarshal(plain, &c); err != nil {
		return nil, fmt.Errorf("decode registry credentials: %w", err)
	}
	return &c, nil
}
