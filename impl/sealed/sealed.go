// Package sealed encrypts values that must be read again: webhook signing secrets, cursors of lists, saved
// responses. It does no I/O.
//
//   - sealed.go: AES-256-GCM under the installation's keys ([Sealer])
package sealed

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
)

const (
	keyBytes = 32
	// sealVersion is the first byte of every sealed value, so that another algorithm can follow this one.
	sealVersion = 1
)

// ErrNotOpened is returned when no key opens a sealed value: it was sealed under another key or for another
// purpose, or it was changed.
var ErrNotOpened = errors.New("sealed value cannot be opened")

// Sealer encrypts and authenticates values with AES-256-GCM (NIST SP 800-38D) under random nonces, which allow 2^32
// values per key. It is safe for concurrent use if its random source is.
type Sealer struct {
	random io.Reader
	aeads  []cipher.AEAD
}

// NewSealer takes keys of 32 bytes. The first key seals, and all of them open: to replace a key, put the new one in
// front of it.
func NewSealer(random io.Reader, keys ...[]byte) (*Sealer, error) {
	if len(keys) == 0 {
		return nil, errors.New("a sealer needs at least one key")
	}
	s := &Sealer{random: random}
	for i, key := range keys {
		if len(key) != keyBytes {
			return nil, fmt.Errorf("key %d has %d bytes, not %d", i+1, len(key), keyBytes)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("use key %d: %w", i+1, err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("use key %d: %w", i+1, err)
		}
		s.aeads = append(s.aeads, aead)
	}
	return s, nil
}

// Seal encrypts the plaintext and binds it to aad, which states its purpose (such as "cursor" or a row's id) and
// must be the same for Open. It fails only if the random source does.
func (s *Sealer) Seal(plaintext, aad []byte) ([]byte, error) {
	aead := s.aeads[0]
	header := make([]byte, 1+aead.NonceSize(), 1+aead.NonceSize()+len(plaintext)+aead.Overhead())
	header[0] = sealVersion
	if _, err := io.ReadFull(s.random, header[1:]); err != nil {
		return nil, fmt.Errorf("make a nonce: %w", err)
	}
	return aead.Seal(header, header[1:], plaintext, aad), nil
}

// Reseal seals a value anew under the first key, unless it is sealed under it already: then it returns false.
func (s *Sealer) Reseal(sealed, aad []byte) (resealed []byte, changed bool, err error) {
	first := &Sealer{random: s.random, aeads: s.aeads[:1]}
	if _, err := first.Open(sealed, aad); err == nil {
		return sealed, false, nil
	}
	plaintext, err := s.Open(sealed, aad)
	if err != nil {
		return nil, false, err
	}
	resealed, err = s.Seal(plaintext, aad)
	return resealed, err == nil, err
}

// Open returns the plaintext of a sealed value, or [ErrNotOpened].
func (s *Sealer) Open(sealed, aad []byte) ([]byte, error) {
	for _, aead := range s.aeads {
		if len(sealed) < 1+aead.NonceSize() || sealed[0] != sealVersion {
			return nil, ErrNotOpened
		}
		nonce, ciphertext := sealed[1:1+aead.NonceSize()], sealed[1+aead.NonceSize():]
		if plaintext, err := aead.Open(nil, nonce, ciphertext, aad); err == nil {
			return plaintext, nil
		}
	}
	return nil, ErrNotOpened
}
