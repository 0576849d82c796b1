#include "tests/explorer_gui/display.hpp"

#include <string>

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace soapstone::explorer {

namespace {

struct Xvfb {
  pid_t process = -1;
  std::string why_not;

  Xvfb() {
    // Always its own: a window on the desktop of a person would be clicked by that person.
    int ready[2];
    if (::pipe(ready) != 0) {
      why_not = "no pipe";
      return;
    }
    process = ::fork();
    if (process == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::close(ready[0]);
      const std::string fd = std::to_string(ready[1]);
      ::freopen("/dev/null", "w", stderr);
      ::execlp("Xvfb", "Xvfb", "-displayfd", fd.c_str(), "-screen", "0", "1600x1000x24",
               "-nolisten", "tcp", static_cast<char*>(nullptr));
      ::_exit(127);
    }
    ::close(ready[1]);
    std::string number;
    char c = 0;
    while (::read(ready[0], &c, 1) == 1 && c != '\n') number += c;
    ::close(ready[0]);
    if (number.empty()) {
      why_not = "there is no Xvfb; package xvfb";
      return;
    }
    ::setenv("DISPLAY", (":" + number).c_str(), 1);
    ::setenv("LIBGL_ALWAYS_SOFTWARE", "1", 1);
  }
  ~Xvfb() {
    if (process > 0) {
      ::kill(process, SIGTERM);
      ::waitpid(process, nullptr, 0);
    }
  }
};

}  // namespace

std::string why_no_display() {
  static const Xvfb server;
  return server.why_not;
}

}  // namespace soapstone::explorer
