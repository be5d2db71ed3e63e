package daemon

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/wedsync/terraform-provider-wedsync/daemon/access"
)

// Files in the data directory that hold a secret; mode 0600.
const (
	adminTokenFile = "admin.token"
	secretKeyFile  = "secret.key"
)

// secretKey is the key that encrypts registry credentials and certificates.
func (c Config) secretKey() ([]byte, error) {
	text := c.SecretKey
	if text == "" {
		var err error
		if text, err = keep(filepath.Join(c.DataDir, secretKeyFile), randomKey); err != nil {
			return nil, err
		}
	}
	key, err := hex.DecodeString(text)
	if err != nil || len(key) != 32 {
		return nil, errors.New("secret key is not 64 hexadecimal digits; make one with: openssl rand -hex 32")
	}
	return key, nil
}

func randomKey() (string, error) {
	key := make([]byte, 32)
	_, err := rand.Read(key)
	return hex.EncodeToString(key), err
}

// bootstrapToken is the first administrator's token.
func (c Config) bootstrapToken() (string, error) {
	if c.BootstrapToken != "" {
		return c.BootstrapToken, nil
	}
	return keep(filepath.Join(c.DataDir, adminTokenFile), access.NewSecret)
}

// keep returns what a file holds; where there is none it makes the secret and
// writes it, whole or not at all, readable by the owner only.
func keep(path string, create func() (string, error)) (string, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read secret: %w", err)
	}
	secret, err := create()
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // mode 0600
	if err != nil {
		return "", fmt.Errorf("write secret: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.WriteString(secret + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", fmt.Errorf("write secret: %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return "", fmt.Errorf("write secret: %w", err)
	}
	return secret, nil
}
