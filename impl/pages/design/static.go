package design

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Static serves content that doesn't change while the process runs. Clients keep it, and ask whether it has changed.
type Static struct {
	contentType string
	policy      string
	content     []byte
	status      int
	tag         func() string
	packed      func() []byte
}

// NewStatic serves content under a policy, which may be empty. It is compressed when the first client asks for it.
func NewStatic(contentType, policy string, content []byte) *Static {
	return &Static{
		contentType: contentType, policy: policy, content: content,
		tag: sync.OnceValue(func() string {
			sum := sha256.Sum256(content)
			return hex.EncodeToString(sum[:12])
		}),
		packed: sync.OnceValue(func() []byte { return pack(content) }),
	}
}

// WithStatus returns the same content for answers with another status.
func (s *Static) WithStatus(status int) *Static {
	other := *s
	other.status = status
	return &other
}

// pack compresses with gzip. Writing to memory cannot fail.
func pack(content []byte) []byte {
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	_, _ = writer.Write(content)
	_ = writer.Close()
	return packed.Bytes()
}

// ServeHTTP serves the content, or 304 to a client that has it. Each encoding has a tag of its own, because a tag names
// bytes (RFC 9110, section 8.8.3.3).
func (s *Static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", s.contentType)
	Protect(header, s.policy)
	header.Set("Cache-Control", "no-cache")
	header.Set("Vary", "Accept-Encoding")
	content, tag := s.content, s.tag()
	if TakesGzip(r.Header) {
		header.Set("Content-Encoding", "gzip")
		content, tag = s.packed(), tag+"-gzip"
	}
	if s.status != 0 {
		w.WriteHeader(s.status)
		// A failed write means that the client has gone.
		_, _ = w.Write(content)
		return
	}
	header.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// TakesGzip reports whether a client takes gzip (RFC 9110, section 12.5.3): it names gzip, or any coding, and doesn't refuse
// it with a weight of zero.
func TakesGzip(header http.Header) bool {
	takes := false
	for _, listed := range strings.Split(strings.Join(header.Values("Accept-Encoding"), ","), ",") {
		coding, weight, _ := strings.Cut(listed, ";")
		coding = strings.ToLower(strings.TrimSpace(coding))
		if coding != "gzip" && coding != "*" {
			continue
		}
		_, weight, _ = strings.Cut(weight, "=")
		weight = strings.TrimSpace(weight)
		refused := weight != "" && strings.Trim(weight, "0.") == ""
		if coding == "gzip" {
			return !refused
		}
		takes = !refused
	}
	return takes
}
