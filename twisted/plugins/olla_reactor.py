"""Tells ``twistd`` of the lean reactor: ``twistd --reactor olla``."""

from twisted.application.reactors import Reactor

olla_reactor = Reactor("olla", "olla.wire.reactor", "Twisted's epoll reactor with less work for each event.")
