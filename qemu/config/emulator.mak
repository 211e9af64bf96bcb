# SPDX-License-Identifier: GPL-2.0-only
# Devices of the emulator that is built for CPUID faulting: what qemu/lib/guest.sh uses, and disks and a network for
# those who run it by hand.
CONFIG_I440FX=y
CONFIG_ISAPC=y
CONFIG_HPET=y
CONFIG_PCI_DEVICES=y
CONFIG_ISA_DEBUG=y
CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_SERIAL=y
CONFIG_VIRTIO_9P=y
CONFIG_VIRTIO_BLK=y
CONFIG_VIRTIO_NET=y
CONFIG_VIRTIO_RNG=y
