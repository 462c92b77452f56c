package sealed_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/voostack/mailstack/impl/sealed"
)

var (
	keyA = bytes.Repeat([]byte{0xa}, 32)
	keyB = bytes.Repeat([]byte{0xb}, 32)
)

func newSealer(t *testing.T, keys ...[]byte) *sealed.Sealer {
	t.Helper()
	s, err := sealed.NewSealer(rand.Reader, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealedIsOpened(t *testing.T) {
	t.Parallel()
	s := newSealer(t, keyA)
	rapid.Check(t, func(t *rapid.T) {
		plaintext := rapid.SliceOf(rapid.Byte()).Draw(t, "plaintext")
		aad := rapid.SliceOf(rapid.Byte()).Draw(t, "aad")
		ciphertext, err := s.Seal(plaintext, aad)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := s.Open(ciphertext, aad)
		if err != nil || !bytes.Equal(opened, plaintext) {
			t.Fatalf("opened %x, %v", opened, err)
		}
		again, err := s.Seal(plaintext, aad)
		if err != nil || bytes.Equal(ciphertext, again) {
			t.Fatalf("the same nonce twice, %v", err)
		}
		if _, err := s.Open(ciphertext, append(aad, 1)); !errors.Is(err, sealed.ErrNotOpened) {
			t.Fatalf("opened for another purpose: %v", err)
		}
		bit := rapid.IntRange(0, 8*len(ciphertext)-1).Draw(t, "bit")
		changed := slices.Clone(ciphertext)
		changed[bit/8] ^= 1 << (bit % 8)
		if _, err := s.Open(changed, aad); !errors.Is(err, sealed.ErrNotOpened) {
			t.Fatalf("opened with bit %d changed: %v", bit, err)
		}
		cut := rapid.IntRange(0, len(ciphertext)-1).Draw(t, "cut")
		if _, err := s.Open(ciphertext[:cut], aad); !errors.Is(err, sealed.ErrNotOpened) {
			t.Fatalf("opened when cut to %d: %v", cut, err)
		}
	})
}

func TestSealerRotates(t *testing.T) {
	t.Parallel()
	old, both, replaced := newSealer(t, keyA), newSealer(t, keyB, keyA), newSealer(t, keyB)
	bySealer := func(s *sealed.Sealer) []byte {
		ciphertext, err := s.Seal([]byte("x"), nil)
		if err != nil {
			t.Fatal(err)
		}
		return ciphertext
	}
	if _, err := both.Open(bySealer(old), nil); err != nil {
		t.Errorf("the second key does not open: %v", err)
	}
	if _, err := replaced.Open(bySealer(both), nil); err != nil {
		t.Errorf("the first key did not seal: %v", err)
	}
	if _, err := replaced.Open(bySealer(old), nil); !errors.Is(err, sealed.ErrNotOpened) {
		t.Errorf("opened under a key that is gone: %v", err)
	}
}

func TestNewSealerRefusesKeys(t *testing.T) {
	t.Parallel()
	for _, keys := range [][][]byte{nil, {keyA[:31]}, {keyA[:16]}, {append(slices.Clone(keyA), 0)}, {keyA, nil}} {
		if _, err := sealed.NewSealer(rand.Reader, keys...); err == nil {
			t.Errorf("accepted %x", keys)
		}
	}
}

func TestSealFailsWithItsSource(t *testing.T) {
	t.Parallel()
	s, err := sealed.NewSealer(strings.NewReader("short"), keyA)
	if err != nil {
		t.Fatal(err)
	}
	if ciphertext, err := s.Seal([]byte("x"), nil); err == nil {
		t.Errorf("sealed %x without a nonce", ciphertext)
	}
}

// FuzzOpen checks that nothing opens that was not sealed with the key, and that what opens is what was sealed.
func FuzzOpen(f *testing.F) {
	s, err := sealed.NewSealer(rand.Reader, keyB, keyA)
	if err != nil {
		f.Fatal(err)
	}
	ciphertext, err := s.Seal([]byte("x"), []byte("cursor"))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{nil, {1}, ciphertext[:13], ciphertext[:len(ciphertext)-1], append(slices.Clone(ciphertext), 0)} {
		f.Add(seed, []byte("cursor"))
	}
	f.Add(ciphertext, []byte("another"))
	f.Fuzz(func(t *testing.T, given, aad []byte) {
		opened, err := s.Open(given, aad)
		if err != nil && !errors.Is(err, sealed.ErrNotOpened) || err == nil && (string(opened) != "x" || string(aad) != "cursor") {
			t.Fatalf("%x opened as %x, %v", given, opened, err)
		}
		ciphertext, err := s.Seal(given, aad)
		if err != nil {
			t.Fatal(err)
		}
		if opened, err := s.Open(ciphertext, aad); err != nil || string(opened) != string(given) {
			t.Fatalf("%x became %x, %v", given, opened, err)
		}
	})
}
