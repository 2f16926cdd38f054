/** What every page needs: its address kept true, and moments in the reader's own time zone. */

import "./address.js";
import { moment } from "./format.js";

for (const time of document.querySelectorAll("time[datetime]")) {
  time.textContent = moment(time.dateTime);
}
