# SPDX-License-Identifier: GPL-2.0-only
# The manual page and the completion come from the tables of the program itself.
MAN := $(BUILD)/docs/stasis.8
COMPLETION := $(BUILD)/docs/stasis.bash

# The hand-written page has a line @OPTIONS@ where the generated parts belong.
$(MAN): docs/man/stasis.8.in $(BUILD)/stasis
	@mkdir -p $(@D)
	$(BUILD)/stasis help --no-default-config --man > $@.part
	sed -e 's/@VERSION@/$(VERSION)/' -e '/^@OPTIONS@$$/{' -e 'r $@.part' -e 'd' -e '}' $< > $@
	@rm -f $@.part

$(COMPLETION): $(BUILD)/stasis
	@mkdir -p $(@D)
	$(BUILD)/stasis help --no-default-config --completion > $@

all: $(MAN) $(COMPLETION)
man: $(MAN)

install: install-docs
install-docs: $(MAN) $(COMPLETION)
	install -d $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 644 $(MAN) docs/man/stasis-monitor.8 $(DESTDIR)$(PREFIX)/share/man/man8
	install -D -m 644 $(COMPLETION) \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/stasis

.PHONY: man install-docs
