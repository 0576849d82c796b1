// Numbers that open to where they come from.
#pragma once

#include <functional>
#include <string>

#include "explorer_gui/model/provenance.hpp"
#include "explorer_gui/view/panel.hpp"

namespace soapstone::explorer::view {

// What is open of a window; kept by its panel.
struct OpenProvenance {
  Provenance shown;
  bool asked = false;

  void open(Provenance provenance) {
    shown = std::move(provenance);
    asked = true;
  }
};

// Text that is underlined under the mouse; a click opens what `make` says. `id` is unique in its
// window and the name by which tests click it.
void number(Ui& ui, OpenProvenance& open, const char* id, const std::string& text,
            const std::function<Provenance()>& make);

// Once per window, after everything that may open it.
void provenance_popup(Ui& ui, OpenProvenance& open);

}  // namespace soapstone::explorer::view
