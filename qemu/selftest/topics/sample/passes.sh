#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A test is given nothing but standard streams.
[ ! -e /proc/$$/fd/4 ]
