package dns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	mdns "github.com/miekg/dns"
)

const (
	// bindTries bounds the search for a port that is free for TCP and UDP.
	bindTries = 20
	// zoneTimeout bounds a zone's time for one question.
	zoneTimeout = 5 * time.Second
)

// Server answers DNS questions from a [Zone], over UDP and TCP on one port. It is for development and tests: it
// serves no SOA and asks no other server.
type Server struct {
	zone   Zone
	log    *slog.Logger
	addr   string
	tcp    *mdns.Server
	udp    *mdns.Server
	served sync.WaitGroup

	// ctx ends when the server closes, and with it the zone's work.
	ctx    context.Context
	cancel context.CancelFunc
}

// Serve starts a server at addr. Empty means 127.0.0.1:0, and port 0 picks a free port. The context bounds only the
// binding: the server runs until [Server.Close]. Failures of the zone are logged; a nil log discards them.
func Serve(ctx context.Context, zone Zone, addr string, log *slog.Logger) (*Server, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	listener, packets, err := bind(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("listen for DNS on %s: %w", addr, err)
	}
	server := &Server{zone: zone, log: log, addr: listener.Addr().String()}
	server.ctx, server.cancel = context.WithCancel(context.WithoutCancel(ctx))
	server.tcp = &mdns.Server{Listener: listener, Handler: server}
	server.udp = &mdns.Server{PacketConn: packets, Handler: server, UDPSize: udpSize}
	if err := errors.Join(server.start(server.tcp), server.start(server.udp)); err != nil {
		// Either may not have started; closing its socket ends it in any case.
		server.cancel()
		return nil, errors.Join(fmt.Errorf("start DNS server: %w", err), listener.Close(), packets.Close())
	}
	return server, nil
}

// Addr returns the host:port of both sockets.
func (s *Server) Addr() string { return s.addr }

// Close stops the server and waits for the questions in flight, as long as the context allows. It must be called
// only once.
func (s *Server) Close(ctx context.Context) error {
	s.cancel()
	err := errors.Join(s.udp.ShutdownContext(ctx), s.tcp.ShutdownContext(ctx))
	if err != nil {
		return fmt.Errorf("close DNS server: %w", err)
	}
	s.served.Wait()
	return nil
}

// start serves in the background. It returns once the socket is being read, because a server that has not started
// cannot be shut down.
func (s *Server) start(server *mdns.Server) error {
	started := make(chan struct{})
	failed := make(chan error, 1)
	server.NotifyStartedFunc = func() { close(started) }
	s.served.Go(func() {
		if err := server.ActivateAndServe(); err != nil {
			s.log.Error("dns server stopped", slog.Any("error", err))
			failed <- err
		}
	})
	select {
	case <-started:
		return nil
	case err := <-failed:
		return err
	}
}

// bind opens both sockets. With port 0 the system picks a TCP port whose UDP counterpart may be in use, so bind
// tries again.
func bind(ctx context.Context, addr string) (net.Listener, net.PacketConn, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, nil, err
	}
	tries := 1
	if port == "0" {
		tries = bindTries
	}
	var config net.ListenConfig
	var failures error
	for range tries {
		listener, err := config.Listen(ctx, "tcp", addr)
		if err != nil {
			return nil, nil, err
		}
		packets, err := config.ListenPacket(ctx, "udp", listener.Addr().String())
		if err == nil {
			return listener, packets, nil
		}
		failures = errors.Join(err, listener.Close())
	}
	return nil, nil, failures
}

// ServeDNS implements the handler of the DNS library.
func (s *Server) ServeDNS(writer mdns.ResponseWriter, question *mdns.Msg) {
	reply := new(mdns.Msg)
	reply.SetReply(question)
	reply.Authoritative = true
	reply.RecursionAvailable = true
	size := mdns.MaxMsgSize
	if _, ok := writer.RemoteAddr().(*net.UDPAddr); ok {
		size = mdns.MinMsgSize
	}
	if edns := question.IsEdns0(); edns != nil {
		if size < mdns.MaxMsgSize {
			size = min(max(size, int(edns.UDPSize())), udpSize)
		}
		reply.SetEdns0(udpSize, false)
	}
	if !s.answer(reply) {
		return
	}
	reply.Truncate(size)
	if err := writer.WriteMsg(reply); err != nil {
		s.log.Debug("dns answer not sent", slog.Any("error", err))
	}
}
