package snssim

import (
	"log/slog"
	"net/http"
)

func (s *Simulator) serveCertificate(w http.ResponseWriter, r *http.Request) {
	keys, err := s.keys()
	if err != nil {
		s.config.Log.Error("serve the certificate", slog.Any("error", err))
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	if r.URL.Path != keys.Path {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/x-x509-ca-cert")
	if _, err := w.Write(keys.Certificate); err != nil {
		s.config.Log.Debug("write the certificate", slog.Any("error", err))
	}
}
